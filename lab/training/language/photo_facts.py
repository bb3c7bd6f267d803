"""Facts about a photograph, where not everything that is there is annotated: doubt wherever it matters.

Names are nouns of `real_names.NOUNS`. A noun is used of a photograph only where its objects cannot be
mistaken: all of them have masks of their own, none is only maybe called so (`Noun.doubtful`), and a detector
saw no further one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from lab.training.language.frame_facts import FrameFacts, Name, ObjectIndices, random_name
from lab.training.language.real_names import ANIMALS, COLLECTIVE, NOUNS, NOUNS_OF, Noun
from lab.training.scene_description import PhotoDescription, SceneDescription

MIN_VISIBLE_RATIO: Final = 1.3
"The larger of two objects shows this many times the other's length, too."
MAX_SHARED: Final = 0.5
"Objects beside each other share at most this part of the lesser one's extent."
_NEAR_MISSES: Final = 12
_OF_ANIMALS: Final = ("white", "brown", "black", "grey")


@dataclass(frozen=True, eq=False)
class PhotoFacts(FrameFacts):
    """The facts about a photograph."""

    scene: PhotoDescription
    nouns: tuple[str, ...] = ()
    "Nouns that texts may use."

    # --- names --------------------------------------------------------------------------------------

    @cached_property
    def in_view(self) -> ObjectIndices:
        """Objects of which anything shows."""
        return tuple(int(index) for index in np.flatnonzero(self._visible_px > 0))

    def denotes(self, index: int, category: str | None, colour: str | None) -> bool | None:
        """Whether an object may be called by that noun and that colour; None in doubt."""
        verdicts = (self._is_of(index, category), self._has_colour(index, colour))
        if False in verdicts:
            return False
        return None if None in verdicts else True

    def _is_of(self, index: int, noun: str | None) -> bool | None:
        if noun is None:
            return True
        category = self.labels[index].category
        if category in NOUNS[noun].certain:
            return True
        return None if category in NOUNS[noun].doubtful else False

    def _has_colour(self, index: int, colour: str | None) -> bool | None:
        if colour is None or colour == self.labels[index].colour:
            return True
        return False if colour in self.scene.excluded_colours[index] else None

    def matching(self, category: str | None, colour: str | None) -> ObjectIndices | None:
        """Visible objects that a noun and a colour denote, each with a mask of its own; None in doubt."""
        name = category, colour
        if name not in self._matches:
            self._matches[name] = self._single(category, colour or None)
        return self._matches[name]

    def _single(self, category: str | None, colour: str | None) -> ObjectIndices | None:
        among = self.all_of(category, colour)
        if not among or category is None:
            return among
        if category in COLLECTIVE:
            return None
        clear = all(
            index in self.visible and (self.scene.instance[index] or NOUNS[category].only_plural)
            for index in among
        )
        return among if clear else None

    def all_of(self, category: str | None, colour: str | None) -> ObjectIndices | None:
        """Everything in view that a noun and a colour denote, masks of several objects included.

        None in doubt, and where all that there is of it is barely visible.
        """
        if category is None or category not in NOUNS:
            return None
        noun = NOUNS[category]
        if noun.categories & self.scene.doubted:
            return None
        verdicts = {index: self.denotes(index, category, colour) for index in self.in_view}
        if None in verdicts.values():
            return None
        found = tuple(index for index, verdict in verdicts.items() if verdict)
        if found:
            return found if set(found) & set(self.visible) else None
        return () if self._can_be_absent(noun) else None

    def _can_be_absent(self, noun: Noun) -> bool:
        return noun.may_be_absent and noun.certain <= self.scene.known

    @cached_property
    def visible_names(self) -> tuple[Name, ...]:
        """Distinct names of visible objects: a noun, and a noun with a colour."""
        names: list[Name] = []
        for noun in self.nouns:
            colours = [self.labels[index].colour for index in self.visible if self._is_of(index, noun)]
            if colours:
                names += [(noun, None), *((noun, colour) for colour in colours if colour)]
        return tuple(dict.fromkeys(names))

    def missing_names(self, rng: np.random.Generator) -> list[Name]:
        """Return names that match no object without doubt, the likeliest confusions mostly first."""
        words = self.vocabulary
        there = [noun for noun, colour in self.visible_names if colour is None and noun]
        colours = [colour for _, colour in self.visible_names if colour] or list(words.colours)
        rank: dict[Name, float] = {
            (noun, colour): 0.0 for noun in there for colour in likely_colours(noun, tuple(colours))
        }
        for noun in there:
            rank.setdefault((noun, random_name(likely_colours(noun, words.colours), rng)), 1.0)
        for noun in self.nouns:
            if noun not in there:
                rank[noun, None] = 0.5
                rank[noun, random_name(likely_colours(noun, tuple(colours)), rng)] = 1.5
        names = [name for name in rank if self.matching(*name) == ()]
        order = np.argsort([rank[name] + rng.uniform(0, 1.5) for name in names])
        return [names[index] for index in order[:_NEAR_MISSES]]

    def names_to_list(self) -> list[Name]:
        """Return the plainest nouns of visible objects, with the colour of those that are alone."""
        area = self.scene.amodal_area_px[self.frame]
        names: dict[Name, None] = {}
        for index in sorted(self.visible, key=lambda index: -float(area[index])):
            noun = NOUNS_OF[self.labels[index].category][0]
            if noun in self.nouns:
                alone = self.matching(noun, None) == (index,)
                names[noun, (self.labels[index].colour or None) if alone else None] = None
        return list(names)

    def countable(self) -> PhotoFacts:
        """Return the facts about things that are no parts of others and have a singular."""
        parts = {self.labels[index].category for index in self.in_view if self.scene.wearers[index] >= 0}
        nouns = tuple(
            noun for noun in self.nouns if not (NOUNS[noun].only_plural or NOUNS[noun].categories & parts)
        )
        return replace(self, nouns=nouns)

    # --- clothes ------------------------------------------------------------------------------------

    def wears(self, person: int, garment: str, colour: str | None) -> bool | None:
        """Whether a person wears or carries what a noun denotes, in that colour; None in doubt."""
        if person not in self.scene.dressed:
            return None
        parts = [index for index, wearer in enumerate(self.scene.wearers) if wearer == person]
        verdicts = {index: self.denotes(index, garment, colour) for index in parts}
        if any(verdict and index in self.visible for index, verdict in verdicts.items()):
            return True
        if any(verdict is not False for verdict in verdicts.values()):
            return None
        return False if NOUNS[garment].may_be_absent else None

    # --- size, place, occlusion -----------------------------------------------------------------------

    def is_larger(self, one: int, other: int) -> bool | None:
        """By what the whole objects measure and by what shows of them; None where they disagree."""
        verdict = super().is_larger(one, other)
        if verdict is None:
            return None
        small, large = (other, one) if verdict else (one, other)
        ratio = float(np.sqrt(self._visible_px[large] / max(self._visible_px[small], 1)))
        return verdict if ratio >= MIN_VISIBLE_RATIO else None

    def is_before(self, one: int, other: int, axis: int) -> bool | None:
        """As of drawn scenes; in doubt where a good part of either is beside the other: a plate on a table.

        Above another is only what ends higher up than the other begins.
        """
        verdict = super().is_before(one, other, axis)
        first, second = ((self._boxes[k][axis], self._boxes[k][axis + 2]) for k in (one, other))
        shared = min(first[1], second[1]) - max(first[0], second[0])
        if shared > MAX_SHARED * min(first[1] - first[0], second[1] - second[0]):
            return None
        return None if verdict and axis == 1 and shared > 0 else verdict

    def is_behind(self, *_: int) -> bool | None:
        """Return None: which object hides which is not annotated."""
        return None


def likely_colours(noun: str, colours: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the colours that a thing of that noun may have: nobody asks for a purple horse."""
    if NOUNS[noun].certain <= set(ANIMALS):
        return tuple(colour for colour in colours if colour in _OF_ANIMALS) or _OF_ANIMALS
    return colours


def facts_about(scene: SceneDescription, frame: int) -> FrameFacts:
    """Return the facts about a frame of any scene."""
    if isinstance(scene, PhotoDescription):
        return PhotoFacts(scene, frame, scene.vocabulary.categories)
    return FrameFacts(scene, frame)


def has_sure_names(scene: PhotoDescription) -> bool:
    """Whether any noun denotes what is in view for certain."""
    facts = PhotoFacts(scene, 0, scene.vocabulary.categories)
    return any(facts.all_of(*name) for name in facts.visible_names)
