"""What is held out of training: seeds, labels (a category with a colour), and distractors of the same label.

The seed of a scene decides its split, so that a scene stays a function of its seed.
"""

from __future__ import annotations

import zlib
from enum import Enum
from functools import cache
from typing import Final

from lab.training.scene_description import ObjectLabel, Vocabulary
from lab.training.world.catalogue import SHAPES
from lab.training.world.levels import Level

HELD_OUT_SEED: Final = 1 << 40
"The first seed that is not of the training split: the first of the test splits."
VALIDATION_SEED: Final = HELD_OUT_SEED - 2 * 10**9
"The first seed that training never draws: scenes that decide when a run enters the next curriculum level."
CALIBRATION_SEED: Final = HELD_OUT_SEED - 10**9
"The first seed of scenes for the presence threshold and for int8 calibration."
_SALT: Final = "saccade-176"
"Chosen so that every category and colour keeps most of its combinations, at the first level too."


class Split(Enum):
    """The splits; the value counts in steps of HELD_OUT_SEED. Names in lower case are keys of results."""

    TRAINING = 0
    UNSEEN = 1
    "New scenes of labels that training shows."
    COMBINATIONS = 2
    "Scenes about labels that training neither shows nor names."
    LOOK_ALIKES = 3
    "Scenes with distractors: two or more objects of one label, which training never shows together."

    @property
    def first_seed(self) -> int:
        """The split has this seed and the HELD_OUT_SEED - 1 that follow."""
        return self.value * HELD_OUT_SEED


def split_of(seed: int) -> Split:
    """Return the split of a seed. Raises ValueError for a seed of no split."""
    return Split(seed // HELD_OUT_SEED)


@cache
def is_held_out(label: ObjectLabel) -> bool:
    """Whether a label is held out of training: by a hash, about one in ten."""
    return zlib.crc32(f"{_SALT} {label.colour} {label.category}".encode()) % 10 == 0


@cache
def labels_of(
    categories: tuple[str, ...], colours: tuple[str, ...]
) -> tuple[tuple[ObjectLabel, ...], tuple[ObjectLabel, ...]]:
    """Return all labels of these categories and colours: those that training shows, and those held out."""
    everything = [ObjectLabel(category, colour) for colour in colours for category in categories]
    shown = tuple(label for label in everything if not is_held_out(label))
    return shown, tuple(label for label in everything if is_held_out(label))


def vocabulary_of(level: Level, split: Split) -> Vocabulary:
    """Return the words that texts about scenes of this level and split may use."""
    _, held_out = labels_of(level.categories, level.colours)
    return Vocabulary(
        categories=level.categories,
        colours=level.colours,
        expression_kinds=level.expression_kinds,
        templates_per_meaning=level.templates_per_meaning,
        shapes_only=set(level.categories) <= set(SHAPES),
        held_out=frozenset(held_out),
        about_held_out=split is Split.COMBINATIONS,
    )
