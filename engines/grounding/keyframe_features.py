"""Keyframe features: each image of a keyframe is encoded once, however many queries there are about it.

Earlier frames cost one encoding each, so only queries about change are answered from them.
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
from engines.grounding.prefix import Prefix, PrefixTokens
from engines.grounding.visual_prompts import region_mask, region_tokens
from streaming.vocabulary import Keyframe, Pixels, Region

PAST: Final = 2
"Earlier frames that are shown with a keyframe; with fewer, as at a stream's start, none is shown."
_WORDS: Final = (
    "move moves moving moved motion go goes going gone come comes coming stop stops stopped halt still "
    "resting rise rises rising sink sinks sinking fall falls falling fast faster fastest quick quickest slow "
    "slower slowest grow grows growing shrink shrinks shrinking getting approaching leaving entering turning "
    "walking running crossing flying driving jumping"
)
WORDS_OF_CHANGE: Final = frozenset(_WORDS.split())


def is_about_change(text: str) -> bool:
    """Whether the text has a word of change, which only several frames can show."""
    return not WORDS_OF_CHANGE.isdisjoint(text.lower().replace("?", " ").replace(".", " ").split())


class KeyframeFeatures:
    """Features and prefixes of one keyframe, each computed when first used. Not thread-safe."""

    def __init__(self, checkpoint: Sa2Va, keyframe: Keyframe) -> None:
        self._checkpoint = checkpoint
        self._model = checkpoint.model
        self._pixels = keyframe.frame.pixels
        self._past = keyframe.earlier[-PAST:]

    def prefix(self, *, past: bool) -> Prefix:
        """Return the prefix of questions about the keyframe, with its earlier frames if `past` and if it has
        `PAST` of them."""
        return self._past_prefix if past and len(self._past) == PAST else self._single_prefix

    def region_prefix(self, region: Region) -> Prefix:
        """Return the prefix of questions about a region, named region1. Raises as `regions_prefix`."""
        return self.regions_prefix([region_mask(region, (self._pixels.shape[0], self._pixels.shape[1]))])

    def regions_prefix(self, regions: Sequence[NDArray[np.bool_]]) -> Prefix:
        """Return the prefix of questions about regions (H, W) of the keyframe, named region1, region2, …

        Raises InvalidQuery if a region is empty or the model was not trained on regions.
        """
        template, tokens = self._checkpoint.template, self._current.image_tokens
        # The last tile is the whole image.
        whole = tokens[:, -template.image_tokens :]
        side = math.isqrt(whole.shape[1])
        chosen = [region_tokens(region, side) for region in regions]
        introduction = template.region_intro([int(one.sum()) for one in chosen])
        prefix = PrefixTokens(
            ids=(*template.prefix_for([tokens.shape[1]]), *introduction),
            image_tokens=torch.cat([tokens, *(whole[:, one] for one in chosen)], dim=1),
        )
        return Prefix(self._model, prefix)

    @cached_property
    def feature_maps(self) -> tuple[Tensor, ...]:
        """SAM-2's feature maps of the keyframe at strides 4, 8 and 16, each (1, E, h, w) float32."""
        pixels = self._checkpoint.resize(self._pixels, self._checkpoint.sam_px, self._checkpoint.sam_px)
        return tuple(level.float() for level in self._model.feature_maps(normalise(pixels[None])))

    @cached_property
    def _single_prefix(self) -> Prefix:
        return self._prefix_of([self._current])

    @cached_property
    def _past_prefix(self) -> Prefix:
        return self._prefix_of([*(self._encode(image, 1) for image in self._past), self._current])

    @cached_property
    def _current(self) -> _EncodedImage:
        # With earlier frames every image is one tile; a keyframe without them may be cut into tiles.
        return self._encode(self._pixels, 1 if self._past else self._checkpoint.max_tiles)

    def _prefix_of(self, images: Sequence[_EncodedImage]) -> Prefix:
        template, family = self._checkpoint.template, self._model.family
        ids = template.prefix_for([image.image_tokens.shape[1] for image in images])
        levels = zip(*(image.deepstack for image in images), strict=True)
        prefix = PrefixTokens(
            ids=tuple(ids),
            image_tokens=torch.cat([image.image_tokens for image in images], dim=1),
            deepstack=tuple(torch.cat(level) for level in levels),
            position_ids=family.position_ids(ids, template.image_id, [image.size for image in images]),
        )
        return Prefix(self._model, prefix)

    def _encode(self, pixels: Pixels, max_tiles: int) -> _EncodedImage:
        tiles = self._model.family.preprocess(pixels, max_tiles)
        features = self._model.encode_images(tiles)
        height, width = tiles.shape[2:]
        return _EncodedImage(
            image_tokens=features.tokens.flatten(0, 1)[None],
            deepstack=tuple(level.flatten(0, 1) for level in features.deepstack),
            size=(height, width),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _EncodedImage:
    """Features of one image, of all its tiles."""

    image_tokens: Tensor
    "(1, T, D)."
    deepstack: tuple[Tensor, ...]
    "Each (T, D): see `ImageFeatures.deepstack`."
    size: tuple[int, int]
    "Height and width of a tile, in pixels."
