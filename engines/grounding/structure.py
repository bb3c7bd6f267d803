"""Structure-aware Sa2VA: words are written on SAM-2's coarse map where the mask may be; then it draws again.

    F' = F + γ · Δ,    γ from zero: a fresh refinement changes no bit of a mask
    MaskBiasedAttention    Δ = MHA(LN F, T̂, T̂) ⊙ σ(M / τ)
    Film                   Δ = LN F ⊙ scale(s) + shift(s)

F is the map that the mask decoder is given, T̂ the few of the expression's tokens that matter most, s the
sentence (the prompt read at `[SEG]`), M the logits of a first drawing or of a tracker's current mask. It is
the language decode that is refined, never a tracker's memory.

Source: "Structure-aware vision-language alignment" (draft, 2025), §3.2 and table 3. Its public code
(pengrui-art/sa2va-MaskCMA) has one language token, with which attention says the same everywhere, and no
gate. The draft's router would never learn, because choosing the largest has no gradient; here a token's score
is also its bias in the attention.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS: Final = 8
KEEP: Final = 6
"""Tokens that are heard: the content words of a relation ("small red cup … large blue box"). The draft names
no number, its code keeps 2."""
GATE_TEMPERATURE: Final = 1.0
SILENT: Final = -1e4
"Score of padding: nothing is left of it beside a token, and where nothing is said nothing becomes NaN."

Decode = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Draws N prompts, each on its own coarse map (N, C, h, w): logits (N, 3, H, W) and predicted IoU (N, 3)."""


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """What was said of N things, in the space of the prompts."""

    tokens: Tensor
    "(N, T, C) tokens of the expressions."
    spoken: Tensor
    "(N, T) bool: False on padding."
    sentence: Tensor
    "(N, C) prompts."

    @classmethod
    def padded(cls, tokens: Sequence[Tensor], sentence: Tensor) -> Words:
        """Of N things, or none: the tokens (T, C) of each, of different numbers, and their prompts (N, C)."""
        if not tokens:
            return cls(sentence[:, None], sentence.new_zeros(0, 1, dtype=torch.bool), sentence)
        lengths = torch.tensor([len(one) for one in tokens], device=sentence.device)
        together = nn.utils.rnn.pad_sequence(list(tokens), batch_first=True)
        places = torch.arange(together.shape[1], device=sentence.device)
        return cls(together, places < lengths[:, None], sentence)

    def __getitem__(self, chosen: Tensor) -> Words:
        """Of some of the things: a mask (N,) bool, or their numbers (M,) int64."""
        return Words(self.tokens[chosen], self.spoken[chosen], self.sentence[chosen])

    def placed(self, places: Tensor, count: int) -> Words:
        """The things at their places (N,) int64 among so many; at the others nothing is said."""
        return Words(
            *(
                part.new_zeros(count, *part.shape[1:]).index_copy(0, places, part)
                for part in (self.tokens, self.spoken, self.sentence)
            )
        )


class Refinement(nn.Module, ABC):
    """Adds to the maps of N things what the words say about them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gamma = nn.Parameter(torch.zeros(()))
        self.warmth = 1.0
        "Factor 0..1 on γ; below 1 only while training begins."

    def forward(self, features: Tensor, words: Words, prior: Tensor) -> Tensor:
        """(N, C, h, w) → the same shape; `prior` (N, H, W) are mask logits, at any size from the map's up."""
        cells = features.flatten(2).transpose(1, 2)
        height, width = features.shape[-2:]
        gate_logits = functional.adaptive_avg_pool2d(prior, (height, width)).flatten(1)
        told = self.told(self.norm(cells), words, gate_logits)
        added = self.warmth * self.gamma * told.transpose(1, 2).view_as(features)
        return features + added.to(features.dtype)

    @abstractmethod
    def told(self, cells: Tensor, words: Words, gate_logits: Tensor) -> Tensor:
        """What the words say of cells (N, h * w, C), which come normed; M is at their size, (N, h * w)."""


class MaskBiasedAttention(Refinement):
    """Every cell asks the expression's tokens what it should know, and is answered where the mask may be."""

    def __init__(self, width: int, keep: int = KEEP, gate_temperature: float = GATE_TEMPERATURE) -> None:
        """`width` is a multiple of `HEADS`."""
        super().__init__(width)
        self.router = nn.Sequential(nn.Linear(width, width // 2), nn.ReLU(), nn.Linear(width // 2, 1))
        self.attention = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self._keep = keep
        self._gate_temperature = gate_temperature

    def told(self, cells: Tensor, words: Words, gate_logits: Tensor) -> Tensor:
        """Attention to the tokens that matter, gated."""
        heard = self.heard(cells, words)
        return heard * (gate_logits / self._gate_temperature).sigmoid()[..., None]

    def heard(self, cells: Tensor, words: Words) -> Tensor:
        """(N, h * w, C): attention of the cells to the tokens that matter."""
        kept, scores = self.route(words)
        told, _ = self.attention(cells, kept, kept, key_padding_mask=scores, need_weights=False)
        answer: Tensor = told
        return answer

    def route(self, words: Words) -> tuple[Tensor, Tensor]:
        """The most important tokens (N, K, C), and their scores (N, K), `SILENT` on padding."""
        scores: Tensor = self.router(words.tokens).squeeze(-1)
        scores = scores.masked_fill(~words.spoken, SILENT)
        best = scores.topk(min(self._keep, scores.shape[1]), dim=1)
        kept = words.tokens.gather(1, best.indices[..., None].expand(-1, -1, words.tokens.shape[-1]))
        return kept, best.values


class Film(Refinement):
    """Every channel scaled and shifted by what the sentence says, everywhere alike (Perez et al., 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.modulation = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2 * width))

    def told(self, cells: Tensor, words: Words, gate_logits: Tensor) -> Tensor:
        """The modulated cells. Knows no place: `gate_logits` is not looked at."""
        del gate_logits
        scale, shift = self.modulation(words.sentence)[:, None].chunk(2, dim=-1)
        modulated: Tensor = cells * scale + shift
        return modulated


class RefinementKind(StrEnum):
    """The name of a refinement in a checkpoint's config.json."""

    MASK_BIASED_ATTENTION = "mask_biased_attention"
    FILM = "film"


def make_refinement(kind: RefinementKind, width: int) -> Refinement:
    """An untrained refinement of maps `width` channels wide. Whatever is drawn next is as without it."""
    with torch.random.fork_rng(devices=[]):
        return MaskBiasedAttention(width) if kind is RefinementKind.MASK_BIASED_ATTENTION else Film(width)


def draw_twice(decode: Decode, refinement: Refinement, coarse: Tensor, words: Words) -> tuple[Tensor, Tensor]:
    """Draw N things on their coarse maps (N, C, h, w), then once more on what the first drawing gates.

    Returns what `decode` returns. A tracker's current mask spares the first drawing:
    `decode(refinement(coarse, words, logits))`.
    """
    masks, quality = decode(coarse)
    rows = torch.arange(len(masks), device=masks.device)
    return decode(refinement(coarse, words, masks[rows, quality.argmax(dim=1)]))
