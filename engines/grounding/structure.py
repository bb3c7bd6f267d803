"""Structure-aware Sa2VA: refinement of SAM-2's coarse feature map by the expression, between two decodes.

    F' = F + γ · Δ,    γ starts at 0: an untrained refinement changes no bit of a mask
    MaskBiasedAttention    Δ = MHA(LN F, T̂, T̂) ⊙ σ(M / τ)
    Film                   Δ = LN F ⊙ scale(s) + shift(s)

F is the stride-16 feature map of the mask decoder, T̂ the expression's tokens with the highest router scores,
s the `[SEG]` embedding, M the mask logits of a first decode or of a tracker's current mask. Only the
grounder's decode is refined, never a tracker's memory.

Source: "Structure-aware vision-language alignment" (draft, 2025), §3.2 and table 3. Its public code
(pengrui-art/sa2va-MaskCMA) has one language token, over which attention is constant, and no gate. The draft's
router gets no gradient, because top-k has none; here a token's score is also its bias in the attention.
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
TOP_TOKENS: Final = 6
"""Tokens that are attended to: the content words of a relation ("small red cup … large blue box"). The draft
gives no number, its code takes 2."""
GATE_TEMPERATURE: Final = 1.0
MASKED_SCORE: Final = -1e4
"Router score of padding: attention weight 0 beside any token, and finite if all tokens are padding."

Decode = Callable[[Tensor], tuple[Tensor, Tensor]]
"Decodes N objects on coarse maps (N, C, h, w): mask logits (N, 3, H, W) and predicted IoU (N, 3)."


@dataclass(frozen=True, slots=True, eq=False)
class Expressions:
    """The expressions of N objects, projected to SAM-2's prompt space."""

    tokens: Tensor
    "(N, T, C) tokens of the expressions."
    valid: Tensor
    "(N, T) bool: False on padding."
    seg: Tensor
    "(N, C) `[SEG]` embeddings."

    @classmethod
    def padded(cls, tokens: Sequence[Tensor], seg: Tensor) -> Expressions:
        """Pad the tokens (T_n, C) of N ≥ 0 objects with `[SEG]` embeddings (N, C)."""
        if not tokens:
            return cls(seg[:, None], seg.new_zeros(0, 1, dtype=torch.bool), seg)
        lengths = torch.tensor([len(one) for one in tokens], device=seg.device)
        padded = nn.utils.rnn.pad_sequence(list(tokens), batch_first=True)
        index = torch.arange(padded.shape[1], device=seg.device)
        return cls(padded, index < lengths[:, None], seg)

    def __getitem__(self, chosen: Tensor) -> Expressions:
        """Select objects by a mask (N,) bool or by indices (M,) int64."""
        return Expressions(self.tokens[chosen], self.valid[chosen], self.seg[chosen])


class Refinement(nn.Module, ABC):
    """Adds a residual Δ, computed from the expressions, to the feature maps of N objects."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gamma = nn.Parameter(torch.zeros(()))
        self.gamma_scale = 1.0
        "Factor 0..1 on γ; below 1 only during the warm-up of training."

    def forward(self, features: Tensor, expressions: Expressions, prior: Tensor) -> Tensor:
        """Refine (N, C, h, w); `prior` (N, H, W) are mask logits with H ≥ h, W ≥ w."""
        cells = features.flatten(2).transpose(1, 2)
        height, width = features.shape[-2:]
        gate_logits = functional.adaptive_avg_pool2d(prior, (height, width)).flatten(1)
        residual = self.residual(self.norm(cells), expressions, gate_logits)
        added = self.gamma_scale * self.gamma * residual.transpose(1, 2).view_as(features)
        return features + added.to(features.dtype)

    @abstractmethod
    def residual(self, cells: Tensor, expressions: Expressions, gate_logits: Tensor) -> Tensor:
        """Compute Δ for normalised cells (N, h * w, C); `gate_logits` (N, h * w) are M at the map's size."""


class MaskBiasedAttention(Refinement):
    """Cross-attention from the cells to the expression's tokens, gated by the first mask."""

    def __init__(
        self, width: int, top_tokens: int = TOP_TOKENS, gate_temperature: float = GATE_TEMPERATURE
    ) -> None:
        """`width` is a multiple of `HEADS`."""
        super().__init__(width)
        self.router = nn.Sequential(nn.Linear(width, width // 2), nn.ReLU(), nn.Linear(width // 2, 1))
        self.attention = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self._top_tokens = top_tokens
        self._gate_temperature = gate_temperature

    def residual(self, cells: Tensor, expressions: Expressions, gate_logits: Tensor) -> Tensor:
        """Attend to the tokens with the highest scores, gated."""
        return self.attend(cells, expressions) * (gate_logits / self._gate_temperature).sigmoid()[..., None]

    def attend(self, cells: Tensor, expressions: Expressions) -> Tensor:
        """(N, h * w, C): attention of the cells to the tokens with the highest scores."""
        tokens, scores = self.route(expressions)
        attended, _ = self.attention(cells, tokens, tokens, key_padding_mask=scores, need_weights=False)
        output: Tensor = attended
        return output

    def route(self, expressions: Expressions) -> tuple[Tensor, Tensor]:
        """Return the K tokens with the highest scores (N, K, C) and the scores (N, K), `MASKED_SCORE` on
        padding."""
        scores: Tensor = self.router(expressions.tokens).squeeze(-1)
        scores = scores.masked_fill(~expressions.valid, MASKED_SCORE)
        top = scores.topk(min(self._top_tokens, scores.shape[1]), dim=1)
        index = top.indices[..., None].expand(-1, -1, expressions.tokens.shape[-1])
        return expressions.tokens.gather(1, index), top.values


class Film(Refinement):
    """Scale and shift of every channel by the `[SEG]` embedding (FiLM, Perez et al., 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.modulation = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2 * width))

    def residual(self, cells: Tensor, expressions: Expressions, gate_logits: Tensor) -> Tensor:
        """Modulate the cells, everywhere alike: `gate_logits` are not used."""
        del gate_logits
        scale, shift = self.modulation(expressions.seg)[:, None].chunk(2, dim=-1)
        modulated: Tensor = cells * scale + shift
        return modulated


class RefinementKind(StrEnum):
    """The name of a refinement in a checkpoint's config.json."""

    MASK_BIASED_ATTENTION = "mask_biased_attention"
    FILM = "film"


def make_refinement(kind: RefinementKind, width: int) -> Refinement:
    """Make an untrained refinement of maps with `width` channels. Leaves torch's random state unchanged."""
    with torch.random.fork_rng(devices=[]):
        return MaskBiasedAttention(width) if kind is RefinementKind.MASK_BIASED_ATTENTION else Film(width)


def decode_twice(
    decode: Decode, refinement: Refinement, coarse: Tensor, expressions: Expressions
) -> tuple[Tensor, Tensor]:
    """Decode N objects on coarse maps (N, C, h, w), then again on maps refined with the first masks.

    Returns what `decode` returns. With a tracker's current mask the first decode is not needed:
    `decode(refinement(coarse, expressions, logits))`.
    """
    masks, predicted_iou = decode(coarse)
    rows = torch.arange(len(masks), device=masks.device)
    return decode(refinement(coarse, expressions, masks[rows, predicted_iou.argmax(dim=1)]))
