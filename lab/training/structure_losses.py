"""What structure-aware Sa2VA is taught beside dice and BCE: regions near to their words, sharp outlines.

Source: "Structure-aware vision-language alignment" (draft, 2025), §3.3, §3.4; the numbers are of §4.1. In its
public code an error is swallowed that keeps the contrast from ever counting, and all outlines are scaled by
those of the first sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from engines.grounding.structure import RefinementKind

CONTRAST_WEIGHT: Final = 0.1
CONTRAST_TEMPERATURE: Final = 0.15
BOUNDARY_WEIGHT: Final = 0.05
WARM_SHARE: Final = 0.05
"Of the budget."
FAINT: Final = 0.05
"Of a sharp outline's magnitude: fainter ones are not scaled up to 1, a mask of noise has no outline."


@dataclass(frozen=True, slots=True)
class Structure:
    """Which structure-aware terms a run has; nothing by default."""

    contrast_weight: float = 0.0
    boundary_weight: float = 0.0
    refinement: RefinementKind | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """N things that were meant, and how they were drawn."""

    features: Tensor
    "(N, C, h, w) coarse map that each was drawn on, as it was before any refinement."
    prompts: Tensor
    "(N, C)."
    logits: Tensor
    "(N, 3, H, W), the decoder's three masks."
    quality: Tensor
    "(N, 3), predicted IoU."
    truth: Tensor
    "(N, H, W) float, 0..1."


def warmth(share: float) -> float:
    """Factor 0..1 on the structure-aware losses and on γ where a share 0..1 of the budget is spent."""
    return min(share / WARM_SHARE, 1.0)


def structure_loss(structure: Structure, drawn: Drawn) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum of the terms that a run has, to be warmed up, and their figures."""
    loss = drawn.logits.new_zeros((), dtype=torch.float32)
    figures: dict[str, float] = {}
    if len(drawn.truth) == 0:
        return loss, figures
    probability = drawn.logits.float().sigmoid()
    if structure.contrast_weight:
        rows = torch.arange(len(probability), device=probability.device)
        chosen = probability[rows, drawn.quality.argmax(dim=1)]
        contrast = contrast_loss(pooled(drawn.features, chosen), drawn.prompts, alike(drawn.truth))
        loss = loss + structure.contrast_weight * contrast
        figures["contrast"] = float(contrast.detach())
    if structure.boundary_weight:
        boundary = boundary_loss(probability, drawn.truth[:, None].expand_as(probability))
        loss = loss + structure.boundary_weight * boundary
        figures["boundary"] = float(boundary.detach())
    return loss, figures


def pooled(features: Tensor, mask: Tensor) -> Tensor:
    """Mean of features (N, C, h, w) weighted by a soft mask (N, H, W) of 0..1, at any size from theirs up:
    (N, C) float32."""
    height, width = features.shape[-2:]
    small = functional.adaptive_avg_pool2d(mask.float(), (height, width))[:, None]
    return (features.float() * small).sum(dim=(-1, -2)) / small.sum(dim=(-1, -2)).clamp(min=1e-6)


def alike(truth: Tensor) -> Tensor:
    """(N, H, W) → (N, N) bool: which of the things are one and the same.

    Two questions may mean the same thing; no other thing covers exactly the same cells.
    """
    cells = truth.flatten(1)
    return (cells[:, None] == cells[None]).all(dim=-1)


def contrast_loss(regions: Tensor, sentences: Tensor, same: Tensor) -> Tensor:
    """Symmetric InfoNCE: a region (N, C) is nearest to its own sentence (N, C), and the other way round.

    The sum of both directions, as in the draft's equation 5. `same` (N, N) bool: other sentences about the
    same region are neither right nor wrong.
    """
    nearness = functional.cosine_similarity(regions.float()[:, None], sentences.float()[None], dim=2)
    own = torch.eye(len(same), dtype=torch.bool, device=same.device)
    scores = (nearness / CONTRAST_TEMPERATURE).masked_fill(same & ~own, -torch.inf)
    right = torch.arange(len(scores), device=scores.device)
    return functional.cross_entropy(scores, right) + functional.cross_entropy(scores.T, right)


def boundary_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of the outlines of (…, H, W) masks of 0..1, each scaled to a maximum of 1."""
    return (_scaled(outlines(probability)) - _scaled(outlines(truth))).abs().mean()


def outlines(mask: Tensor) -> Tensor:
    """(…, H, W) → Sobel magnitude, 1 along a sharp straight edge; the picture's border is no edge."""
    padded = functional.pad(mask.reshape(-1, *mask.shape[-2:]), (1, 1, 1, 1), mode="replicate")
    # Differences and sums, no convolution: mixed precision would round that.
    across = padded[:, :, 2:] - padded[:, :, :-2]
    down = padded[:, 2:] - padded[:, :-2]
    along_x = (across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]) / 4
    along_y = (down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]) / 4
    # A root has no slope at 0.
    return (along_x.square() + along_y.square() + 1e-8).sqrt().view_as(mask)


def _scaled(edges: Tensor) -> Tensor:
    return edges / edges.amax(dim=(-1, -2), keepdim=True).clamp(min=FAINT)
