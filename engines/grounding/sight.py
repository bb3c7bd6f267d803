"""A keyframe as it is looked at: each of its pictures once, however much is asked about it.

A past costs a look for every picture of it, so only words about change are answered from it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from engines.geometry import to_square
from engines.grounding.checkpoints import Sa2Va
from engines.grounding.model import normalise
from streaming.vocabulary import Keyframe, Pixels

PAST: Final = 2
"Pictures of a past; with fewer, as at a stream's beginning, there is none."
_WORDS: Final = (
    "move moves moving moved motion go goes going gone come comes coming stop stops stopped halt still "
    "resting rise rises rising sink sinks sinking fall falls falling fast faster fastest quick quickest slow "
    "slower slowest grow grows growing shrink shrinks shrinking getting approaching leaving entering turning "
    "walking running crossing flying driving jumping"
)
WORDS_OF_CHANGE: Final = frozenset(_WORDS.split())


def is_about_change(text: str) -> bool:
    """Whether only more than one picture can show what is meant."""
    return not WORDS_OF_CHANGE.isdisjoint(text.lower().replace("?", " ").replace(".", " ").split())


class Sight:
    """What a checkpoint sees of one keyframe."""

    def __init__(self, checkpoint: Sa2Va, keyframe: Keyframe) -> None:
        self._model = checkpoint.model
        self._look_px = checkpoint.look_px
        self._draw_px = checkpoint.draw_px
        self._pixels = keyframe.frame.pixels
        self._past = keyframe.earlier[-PAST:]

    def pictures(self, *, past: bool) -> int:
        """How many pictures are seen, where the past is wanted."""
        return 1 + PAST if past and len(self._past) == PAST else 1

    def tokens(self, *, past: bool) -> Tensor:
        """(1, pictures * T, D): their image tokens, oldest first."""
        return self._all if self.pictures(past=past) > 1 else self._now

    @cached_property
    def maps(self) -> tuple[Tensor, ...]:
        """SAM-2's feature maps of the keyframe."""
        return self._model.maps(_resized(self._pixels, self._draw_px))

    @cached_property
    def _now(self) -> Tensor:
        return self._look(self._pixels)

    @cached_property
    def _all(self) -> Tensor:
        return torch.cat([*(self._look(picture) for picture in self._past), self._now], dim=1)

    def _look(self, pixels: Pixels) -> Tensor:
        return self._model.look(_resized(pixels, self._look_px)).tokens


def _resized(pixels: Pixels, side_px: int) -> Tensor:
    """(H, W, 3) → (1, 3, side, side) normalised."""
    return normalise(to_square(pixels, side_px)[None])
