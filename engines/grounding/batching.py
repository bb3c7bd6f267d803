"""Keyframes of several streams in one batch: encoded together, then read in one prefill.

For models that show every image as one tile with a fixed number of image tokens, so that all prefixes have
the same length. A row of the batch is a keyframe; rows do not attend to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.image_processing import normalise
from engines.grounding.packing import pack
from engines.grounding.prefix import PrefillOutput
from streaming.vocabulary import Keyframe


@dataclass(frozen=True, slots=True, eq=False)
class BatchFeatures:
    """Features of B keyframes, on the model's device."""

    image_tokens: Tensor
    "(B, T, D)."
    feature_maps: tuple[Tensor, ...]
    "SAM-2's feature maps, each (B, E, h, w) float32."

    def feature_maps_of(self, row: int) -> tuple[Tensor, ...]:
        """Feature maps of one keyframe, each (1, E, h, w)."""
        return tuple(level[row : row + 1] for level in self.feature_maps)


def is_single_tile(checkpoint: Sa2Va, keyframe: Keyframe) -> bool:
    """Whether the keyframe itself, without earlier frames, is shown to the language model as one tile."""
    return checkpoint.template.image_tokens > 0 and (checkpoint.max_tiles == 1 or bool(keyframe.earlier))


def encode_keyframes(checkpoint: Sa2Va, keyframes: Sequence[Keyframe]) -> BatchFeatures:
    """Encode keyframes that are one tile each, for the language model and for the mask decoder."""
    model, side = checkpoint.model, checkpoint.sam_px
    images = [keyframe.frame.pixels for keyframe in keyframes]
    encoded = model.encode_images(torch.cat([model.family.preprocess(image, 1) for image in images]))
    squares = np.stack([checkpoint.resize(image, side, side) for image in images])
    maps = model.feature_maps(normalise(squares))
    return BatchFeatures(encoded.tokens, tuple(level.float() for level in maps))


def prefill_batch(
    checkpoint: Sa2Va, image_tokens: Tensor, blocks: Sequence[Sequence[Sequence[int]]]
) -> list[PrefillOutput]:
    """Read `blocks[b]` behind image b, for B images with image tokens (B, T, D), in one prefill."""
    prefix = checkpoint.template.prefix_for([image_tokens.shape[1]])
    packed = pack(prefix, blocks).to(checkpoint.model.device)
    hidden = checkpoint.model.prefill(image_tokens, packed).hidden[:, len(prefix) :]
    return [
        PrefillOutput(hidden[row : row + 1], tuple(start - len(prefix) for start in starts))
        for row, starts in enumerate(packed.starts)
    ]
