"""What training never sees: seeds, combinations of colour and kind, and scenes with look-alikes.

A seed's number tells which set it belongs to, so a scene remains a function of its seed.
"""

from __future__ import annotations

import zlib
from enum import Enum
from functools import cache
from typing import Final

from lab.training.world.catalogue import Thing

HELD_OUT_SEED: Final = 1 << 40
"First of the seeds that a model is measured on at last."
JUDGED_SEED: Final = HELD_OUT_SEED - 2 * 10**9
"First seed that training never draws: of the scenes that open its gates."
CALIBRATION_SEED: Final = HELD_OUT_SEED - 10**9
"First of the scenes that set a threshold, or the ranges of int8."
_SALT: Final = "saccade-176"
"Chosen so that every kind and colour, at the first level too, keeps most of its combinations."


class Split(Enum):
    """The sets of seeds; the value counts in steps of HELD_OUT_SEED."""

    TRAINING = 0
    UNSEEN = 1
    "New scenes of known combinations."
    COMBINATIONS = 2
    "Scenes about combinations of colour and kind that training has neither shown nor named."
    LOOK_ALIKES = 3
    "Scenes with two or more things of one colour and kind, which training has never shown together."

    @property
    def first_seed(self) -> int:
        """The set holds this seed and the HELD_OUT_SEED - 1 that follow."""
        return self.value * HELD_OUT_SEED


def split_of(seed: int) -> Split:
    """The set that a seed belongs to. Raises ValueError where it belongs to none."""
    return Split(seed // HELD_OUT_SEED)


@cache
def is_held_out(thing: Thing) -> bool:
    """Whether training shows and names no such thing: about one combination in ten, forever the same."""
    return zlib.crc32(f"{_SALT} {thing.colour} {thing.kind}".encode()) % 10 == 0
