"""A keyframe as it is looked at: each of its pictures once, however much is asked about it.

A past costs a look for every picture of it, so only words about change are answered from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.image_processing import normalise
from engines.grounding.prefix import Prefix, Shown
from engines.grounding.visual_prompts import cells, inside
from streaming.vocabulary import Keyframe, Pixels, Region

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
        self._checkpoint = checkpoint
        self._model = checkpoint.model
        self._pixels = keyframe.frame.pixels
        self._past = keyframe.earlier[-PAST:]

    def prefix(self, *, past: bool) -> Prefix:
        """What stands before a question about the keyframe, where the past is wanted about that too."""
        return self._with_past if past and len(self._past) == PAST else self._alone

    def pointed(self, region: Region) -> Prefix:
        """What stands before a question about what a person pointed at: region1. Raises as `regions`."""
        return self.regions([inside(region, (self._pixels.shape[0], self._pixels.shape[1]))])

    def regions(self, regions: Sequence[NDArray[np.bool_]]) -> Prefix:
        """What stands before a question about regions (H, W) of the keyframe: region1, region2, …

        Raises InvalidQuery where one is empty, or the model was not taught regions.
        """
        template, tokens = self._checkpoint.template, self._now.tokens
        # The last square is the whole picture.
        whole = tokens[:, -template.image_tokens :]
        side = math.isqrt(whole.shape[1])
        within = [cells(region, side) for region in regions]
        introduced = template.regions([int(one.sum()) for one in within])
        shown = Shown(
            ids=(*template.shown([tokens.shape[1]]), *introduced),
            tokens=torch.cat([tokens, *(whole[:, one] for one in within)], dim=1),
        )
        return Prefix(self._model, shown)

    @cached_property
    def maps(self) -> tuple[Tensor, ...]:
        """SAM-2's feature maps of the keyframe, float32."""
        pixels = self._checkpoint.resize(self._pixels, self._checkpoint.draw_px, self._checkpoint.draw_px)
        return tuple(one.float() for one in self._model.maps(normalise(pixels[None])))

    @cached_property
    def _alone(self) -> Prefix:
        return self._shown([self._now])

    @cached_property
    def _with_past(self) -> Prefix:
        return self._shown([*(self._look(picture, 1) for picture in self._past), self._now])

    @cached_property
    def _now(self) -> _Looked:
        # Pictures of a window are shown whole; one alone may be shown in tiles.
        return self._look(self._pixels, 1 if self._past else self._checkpoint.tiles)

    def _shown(self, looked: Sequence[_Looked]) -> Prefix:
        template, family = self._checkpoint.template, self._model.family
        ids = template.shown([one.tokens.shape[1] for one in looked])
        levels = zip(*(one.deep for one in looked), strict=True)
        shown = Shown(
            ids=tuple(ids),
            tokens=torch.cat([one.tokens for one in looked], dim=1),
            deep=tuple(torch.cat(level) for level in levels),
            axes=family.axes(ids, template.image_id, [one.size for one in looked]),
        )
        return Prefix(self._model, shown)

    def _look(self, pixels: Pixels, tiles: int) -> _Looked:
        prepared = self._model.family.prepare(pixels, tiles)
        look = self._model.look(prepared)
        height, width = prepared.shape[2:]
        return _Looked(
            tokens=look.tokens.flatten(0, 1)[None],
            deep=tuple(level.flatten(0, 1) for level in look.deep),
            size=(height, width),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Looked:
    """One picture, in however many tiles."""

    tokens: Tensor
    "(1, T, D)."
    deep: tuple[Tensor, ...]
    "Each (T, D)."
    size: tuple[int, int]
    "Height and width of what the vision tower saw."
