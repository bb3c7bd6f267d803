"""What words mean on a frame, read again from the masks: an independent judge of generated phrases.

The judge knows how phrases are put (`WAYS`), and nothing of how their meaning was found: no margins, no
view, only where pixels are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np

from lab.training.language.lexicon import ANYTHING, NUMBERS, ORDINALS, WAYS, plural
from lab.training.language.nouns import Saying
from lab.training.language.view import View
from lab.training.world.catalogue import KINDS, Thing
from lab.training.world.colours import COLOURS
from lab.training.world.scenes import Clip

Named = Callable[[Thing], bool]
Say = Callable[[View, np.random.Generator], Iterator[Saying]]
_KIND_OF = {name: kind for kind in KINDS for name in (kind, plural(kind))}
_ANYTHING = {name for word in ANYTHING for name in (word, f"{word}s")}


def noun(words: str) -> Named | None:
    """What fits "red cup", "people in blue", "things"; None for anything that is not such a name."""
    said = words.split()
    if len(said) == 3 and said[1] == "in":
        said = [said[2], said[0]]
    colour = said.pop(0) if said and said[0] in COLOURS and len(said) > 1 else None
    if len(said) != 1 or (said[0] not in _KIND_OF and said[0] not in _ANYTHING):
        return None
    kind = _KIND_OF.get(said[0])
    return lambda thing: kind in (None, thing.kind) and colour in (None, thing.colour)


def readings(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Every way the text can have been put: its meaning and the words in its slots."""
    for meaning, ways in WAYS.items():
        for way in ways:
            pattern = re.escape(way)
            for slot in dict.fromkeys(re.findall(r"{(\w+)}", way)):
                pattern = pattern.replace(rf"\{{{slot}\}}", f"(?P<{slot}>.+?)", 1).replace(
                    rf"\{{{slot}\}}", f"(?P={slot})"
                )
            found = re.fullmatch(pattern, text)
            if found and _sound(found.groupdict()):
                yield meaning, found.groupdict()


def _sound(slots: dict[str, str]) -> bool:
    for slot, words in slots.items():
        if slot in ("one", "many") and noun(words) is None:
            return False
        if slot == "other" and (not words.startswith("the ") or noun(words[4:]) is None):
            return False
        if slot == "colour" and words.removeprefix("in ") not in COLOURS:
            return False
        if slot == "nth" and words not in ORDINALS:
            return False
        if slot == "number" and words not in NUMBERS:
            return False
    return True


def judged(text: str, clip: Clip, frame: int) -> set[tuple[int, ...]]:
    """The things that the text means, by each of its readings."""
    return {tuple(sorted(_Judge(clip, frame, slots).meant(meaning))) for meaning, slots in readings(text)}


class _Judge:
    def __init__(self, clip: Clip, frame: int, slots: dict[str, str]) -> None:
        self.clip, self.frame, self.slots = clip, frame, slots
        self.visible = [i for i in range(len(clip.things)) if clip.masks[frame, i].any()]
        words = slots.get("one") or slots.get("many") or "thing"
        self.among = self._called(words)
        self.other = self._called(slots["other"][4:])[0] if self._called(slots.get("other", "")[4:]) else -1

    def _called(self, words: str) -> list[int]:
        fits = noun(words)
        return [i for i in self.visible if fits and fits(self.clip.things[i])]

    def middle(self, index: int, axis: int) -> float:
        places = np.nonzero(self.clip.masks[self.frame, index])[1 - axis]
        return float(places.min() + places.max()) / 2

    def area(self, index: int) -> float:
        return float(self.clip.whole_px[self.frame, index])

    def moved(self, index: int) -> np.ndarray:
        back = max(2, round(0.3 / self.clip.step_s))
        return self.clip.paths[self.frame, index] - self.clip.paths[self.frame - back, index]

    def travelled(self, index: int) -> float:
        back = max(2, round(0.3 / self.clip.step_s))
        track = self.clip.paths[self.frame - back : self.frame + 1, index]
        return float(np.hypot(*np.diff(track, axis=0).T).sum())

    def meant(self, meaning: str) -> list[int]:
        among, axis = self.among, 1 if meaning.split()[-1] in ("top", "bottom", "up", "down") else 0
        if meaning == "name":
            return among
        if meaning in ("all", "both", "numbered"):
            counts = {"both": 2, "numbered": NUMBERS.index(self.slots.get("number", "zero"))}
            return among if len(among) == counts.get(meaning, len(among)) else [-1]
        if meaning in ("not", "all not"):
            colour = self.slots["colour"].removeprefix("in ")
            return [i for i in among if self.clip.things[i].colour != colour]
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
            number = ORDINALS.index(self.slots["nth"])
            return sorted(among, key=lambda i: sign * self.middle(i, axis))[number : number + 1]
        if meaning in ("fastest", "slowest"):
            sign = 1 if meaning == "fastest" else -1
            return [max(among, key=lambda i: sign * self.travelled(i))] if among else []
        return [i for i in among if i != self.other and self.holds(meaning, i)]

    def holds(self, meaning: str, one: int) -> bool:
        place, other = self.middle, self.other
        if meaning in ("behind", "in front"):
            back, front = (one, other) if meaning == "behind" else (other, one)
            return bool(self.clip.covered_px[self.frame, back, front] > 0) and back < front
        if meaning in ("left of", "right of", "above", "below"):
            axis = 0 if meaning.endswith("of") else 1
            return (place(one, axis) < place(other, axis)) == (meaning in ("left of", "above"))
        size, _, side = meaning.partition(" ")
        if size in ("larger", "smaller"):
            return any(
                (self.area(i) > self.area(one)) == (size == "larger")
                and (place(i, 0) < place(one, 0)) == (side == "left")
                for i in self.among
                if i != one
            )
        if size == "going":
            # What creeps, goes nowhere.
            x, y = self.moved(one) / self.clip.masks.shape[:1:-1]
            return {"left": x < -0.015, "right": x > 0.015, "up": y < -0.015, "down": y > 0.015}[side]
        if meaning in ("nearing", "leaving"):
            whole = self.clip.whole_px[:, one]
            back = max(2, round(0.3 / self.clip.step_s))
            grew = whole[self.frame] / whole[self.frame - back]
            return bool(grew > 1.04) if meaning == "nearing" else bool(grew < 1 / 1.04)
        size_px = np.array(self.clip.masks.shape[:1:-1])
        rests = float(np.hypot(*(self.moved(one) / size_px))) < 0.02
        if meaning == "stopped":
            track = self.clip.paths[: self.frame + 1, one] / size_px
            return rests and float(np.hypot(*np.diff(track, axis=0).T).max()) > 0.03 * self.clip.step_s
        return {"moving": not rests, "resting": rests}[meaning]


def assert_true(say: Say, views: list[View]) -> None:
    """What `say` is sure of on first frames is true; enough is said of what is there, and of what is not."""
    present = absent = 0
    for view in views:
        for text, meaning in say(view, np.random.default_rng(0)):
            if meaning is not None:
                assert judged(text, view.clip, 0) == {meaning}, text
                present, absent = present + bool(meaning), absent + (not meaning)
    assert present > 10 and absent > 10
