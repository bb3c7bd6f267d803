"""Keyframes of several streams in one go: looked at in one batch, read in one prefill.

For models that show every picture as one square of so many tokens, so that all prefixes are alike. A row of
the batch is a keyframe; no row sees another.
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
from engines.grounding.prefix import Behind
from streaming.vocabulary import Keyframe


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a model sees of B keyframes."""

    tokens: Tensor
    "(B, T, D) image tokens."
    maps: tuple[Tensor, ...]
    "SAM-2's feature maps, each (B, E, h, w) float32."

    def maps_of(self, row: int) -> tuple[Tensor, ...]:
        """Of one keyframe, each (1, E, h, w)."""
        return tuple(one[row : row + 1] for one in self.maps)


def is_one_square(checkpoint: Sa2Va, keyframe: Keyframe) -> bool:
    """Whether the keyframe itself, without its past, is shown as one square."""
    return checkpoint.template.image_tokens > 0 and (checkpoint.tiles == 1 or bool(keyframe.earlier))


def look(checkpoint: Sa2Va, keyframes: Sequence[Keyframe]) -> Seen:
    """See keyframes that are one square each."""
    model, side = checkpoint.model, checkpoint.draw_px
    pictures = [keyframe.frame.pixels for keyframe in keyframes]
    looked = model.look(torch.cat([model.family.prepare(picture, 1) for picture in pictures]))
    squares = np.stack([checkpoint.resize(picture, side, side) for picture in pictures])
    return Seen(looked.tokens, tuple(one.float() for one in model.maps(normalise(squares))))


def read(checkpoint: Sa2Va, tokens: Tensor, blocks: Sequence[Sequence[Sequence[int]]]) -> list[Behind]:
    """Read blocks of ids behind each picture (B, T, D); `blocks[b]` stand behind picture b."""
    prefix = checkpoint.template.shown([tokens.shape[1]])
    packed = pack(prefix, blocks).to(checkpoint.model.device)
    hidden = checkpoint.model.read(tokens, packed).hidden[:, len(prefix) :]
    return [
        Behind(hidden[row : row + 1], tuple(start - len(prefix) for start in starts))
        for row, starts in enumerate(packed.starts)
    ]
