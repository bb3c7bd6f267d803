"""An independent reading of generated texts: parse them by the templates, find referents from masks alone.

It shares the templates (`TEMPLATES`) with the generator, and nothing of how referents are found there: no
margins, no `FrameFacts`, only pixels and tracks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np

from lab.training.language.frame_facts import FrameFacts
from lab.training.language.lexicon import GENERIC_NOUNS, NUMBERS, ORDINALS, TEMPLATES, plural
from lab.training.language.noun_phrases import Candidate
from lab.training.scene_description import ObjectLabel, SceneDescription
from lab.training.world.catalogue import CATEGORIES
from lab.training.world.colours import COLOURS

Matches = Callable[[ObjectLabel], bool]
Generate = Callable[[FrameFacts, np.random.Generator], Iterator[Candidate]]
_CATEGORY_OF = {name: category for category in CATEGORIES for name in (category, plural(category))}
_GENERIC = {name for word in GENERIC_NOUNS for name in (word, f"{word}s")}


def parse_noun_phrase(words: str) -> Matches | None:
    """Which labels match "red cup", "people in blue", "things"; None for what is no such noun phrase."""
    parts = words.split()
    if len(parts) == 3 and parts[1] == "in":
        parts = [parts[2], parts[0]]
    colour = parts.pop(0) if parts and parts[0] in COLOURS and len(parts) > 1 else None
    if len(parts) != 1 or (parts[0] not in _CATEGORY_OF and parts[0] not in _GENERIC):
        return None
    category = _CATEGORY_OF.get(parts[0])
    return lambda label: category in (None, label.category) and colour in (None, label.colour)


def parses(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Every template that the text can come from: its meaning, and the words in its fields."""
    for meaning, templates in TEMPLATES.items():
        for template in templates:
            pattern = re.escape(template)
            for field in dict.fromkeys(re.findall(r"{(\w+)}", template)):
                pattern = pattern.replace(rf"\{{{field}\}}", f"(?P<{field}>.+?)", 1).replace(
                    rf"\{{{field}\}}", f"(?P={field})"
                )
            found = re.fullmatch(pattern, text)
            if found and _is_well_formed(found.groupdict()):
                yield meaning, found.groupdict()


def _is_well_formed(fields: dict[str, str]) -> bool:
    for field, words in fields.items():
        if field in ("one", "many") and parse_noun_phrase(words) is None:
            return False
        if field == "other" and (not words.startswith("the ") or parse_noun_phrase(words[4:]) is None):
            return False
        if field == "colour" and words.removeprefix("in ") not in COLOURS:
            return False
        if field == "nth" and words not in ORDINALS:
            return False
        if field == "number" and words not in NUMBERS:
            return False
    return True


def interpretations(text: str, scene: SceneDescription, frame: int) -> set[tuple[int, ...]]:
    """The sets of referents that the text has, one for each of its parses."""
    return {
        tuple(sorted(_Interpreter(scene, frame, fields).referents(meaning)))
        for meaning, fields in parses(text)
    }


class _Interpreter:
    def __init__(self, scene: SceneDescription, frame: int, fields: dict[str, str]) -> None:
        self.scene, self.frame, self.fields = scene, frame, fields
        self.visible = [i for i in range(len(scene.labels)) if scene.masks[frame, i].any()]
        self.among = self._matching(fields.get("one") or fields.get("many") or "thing")
        others = self._matching(fields.get("other", "")[4:])
        self.other = others[0] if others else -1

    def _matching(self, words: str) -> list[int]:
        matches = parse_noun_phrase(words)
        return [i for i in self.visible if matches and matches(self.scene.labels[i])]

    def middle(self, index: int, axis: int) -> float:
        places = np.nonzero(self.scene.masks[self.frame, index])[1 - axis]
        return float(places.min() + places.max()) / 2

    def area(self, index: int) -> float:
        return float(self.scene.amodal_area_px[self.frame, index])

    def moved(self, index: int) -> np.ndarray:
        track = self.scene.world_centres_px[:, index]
        return track[self.frame] - track[self.frame - self.window]

    def travelled(self, index: int) -> float:
        track = self.scene.world_centres_px[self.frame - self.window : self.frame + 1, index]
        return float(np.hypot(*np.diff(track, axis=0).T).sum())

    @property
    def window(self) -> int:
        return max(2, round(0.3 / self.scene.step_s))

    def referents(self, meaning: str) -> list[int]:
        among, axis = self.among, 1 if meaning.split()[-1] in ("top", "bottom", "up", "down") else 0
        if meaning == "name":
            return among
        if meaning in ("all", "both", "numbered"):
            counts = {"both": 2, "numbered": NUMBERS.index(self.fields.get("number", "zero"))}
            return among if len(among) == counts.get(meaning, len(among)) else [-1]
        if meaning in ("not", "all not"):
            colour = self.fields["colour"].removeprefix("in ")
            return [i for i in among if self.scene.labels[i].colour != colour]
        if meaning == "all but":
            return [i for i in self.visible if i != self.other]
        if meaning in ("largest", "smallest"):
            sign = 1 if meaning == "largest" else -1
            return [max(among, key=lambda i: sign * self.area(i))] if among else []
        if meaning in ("left", "top", "right", "bottom"):
            sign = 1 if meaning in ("left", "top") else -1
            return [min(among, key=lambda i: sign * self.middle(i, axis))] if among else []
        if meaning.startswith("nth"):
            sign = 1 if meaning.split()[1] in ("left", "top") else -1
            number = ORDINALS.index(self.fields["nth"])
            return sorted(among, key=lambda i: sign * self.middle(i, axis))[number : number + 1]
        if meaning in ("fastest", "slowest"):
            sign = 1 if meaning == "fastest" else -1
            return [max(among, key=lambda i: sign * self.travelled(i))] if among else []
        return [i for i in among if i != self.other and self.holds(meaning, i)]

    def holds(self, meaning: str, one: int) -> bool:
        middle, other = self.middle, self.other
        if meaning in ("behind", "in front"):
            back, front = (one, other) if meaning == "behind" else (other, one)
            return bool(self.scene.occluded_px[self.frame, back, front] > 0) and back < front
        if meaning in ("left of", "right of", "above", "below"):
            axis = 0 if meaning.endswith("of") else 1
            return (middle(one, axis) < middle(other, axis)) == (meaning in ("left of", "above"))
        first, _, second = meaning.partition(" ")
        if first in ("larger", "smaller"):
            return any(
                (self.area(i) > self.area(one)) == (first == "larger")
                and (middle(i, 0) < middle(one, 0)) == (second == "left")
                for i in self.among
                if i != one
            )
        if first == "moving" and second:
            # Slower than this is no direction.
            x, y = self.moved(one) / self.scene.masks.shape[:1:-1]
            return {"left": x < -0.015, "right": x > 0.015, "up": y < -0.015, "down": y > 0.015}[second]
        if meaning in ("approaching", "receding"):
            area = self.scene.amodal_area_px[:, one]
            growth = area[self.frame] / area[self.frame - self.window]
            return bool(growth > 1.04) if meaning == "approaching" else bool(growth < 1 / 1.04)
        size_px = np.array(self.scene.masks.shape[:1:-1])
        is_static = float(np.hypot(*(self.moved(one) / size_px))) < 0.02
        if meaning == "stopped":
            track = self.scene.world_centres_px[: self.frame + 1, one] / size_px
            return is_static and float(np.hypot(*np.diff(track, axis=0).T).max()) > 0.03 * self.scene.step_s
        return {"moving": not is_static, "static": is_static}[meaning]


def assert_true(generate: Generate, all_facts: list[FrameFacts]) -> None:
    """Every candidate without doubt is true on first frames; enough have a referent, and enough have none."""
    present = absent = 0
    for facts in all_facts:
        for text, referents in generate(facts, np.random.default_rng(0)):
            if referents is not None:
                assert interpretations(text, facts.scene, 0) == {referents}, text
                present, absent = present + bool(referents), absent + (not referents)
    assert present > 10 and absent > 10
