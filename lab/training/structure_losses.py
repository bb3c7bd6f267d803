"""The structure-aware loss terms of stage `decoder`: region-phrase contrast and mask boundaries.

Source: "Structure-aware vision-language alignment" (draft, 2025), §3.3, §3.4; weights and temperature are of
§4.1. Its public code (pengrui-art/sa2va-MaskCMA) differs: an exception that it suppresses disables the
contrastive term, and the boundaries of all samples are scaled by the first sample's maximum.
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
WARMUP_SHARE: Final = 0.05
"Share of the budget over which the terms and γ are warmed up."
MIN_EDGE: Final = 0.05
"""Least maximum, of 1 at a sharp edge, that the edges of a mask are scaled by. Weaker ones are not scaled up
to 1: a mask of noise has no boundary."""


@dataclass(frozen=True, slots=True)
class StructureConfig:
    """The structure-aware parts of a run; none by default."""

    contrast_weight: float = 0.0
    boundary_weight: float = 0.0
    refinement: RefinementKind | None = None
    "Mask refinement that is added to the model."


@dataclass(frozen=True, slots=True, eq=False)
class MaskPredictions:
    """The decoder's outputs for N prompts, with what they were decoded from and the true masks."""

    features: Tensor
    "(N, C, h, w): SAM-2's stride-16 map of each, before refinement."
    prompts: Tensor
    "(N, C) prompt embeddings."
    logits: Tensor
    "(N, 3, H, W): multimask output."
    quality: Tensor
    "(N, 3): predicted IoU."
    truth: Tensor
    "(N, H, W) float32, 0..1: coverage."


def warmup_scale(spent: float) -> float:
    """Return the factor 0..1 on the structure-aware terms and on γ; `spent`: share 0..1 of the budget."""
    return min(spent / WARMUP_SHARE, 1.0)


def structure_loss(config: StructureConfig, predictions: MaskPredictions) -> tuple[Tensor, dict[str, float]]:
    """Return the weighted sum of the terms that a run has, before warm-up, and the terms as metrics."""
    loss = predictions.logits.new_zeros((), dtype=torch.float32)
    metrics: dict[str, float] = {}
    if len(predictions.truth) == 0:
        return loss, metrics
    probability = predictions.logits.float().sigmoid()
    if config.contrast_weight:
        rows = torch.arange(len(probability), device=probability.device)
        best = probability[rows, predictions.quality.argmax(dim=1)]
        regions, same = masked_mean(predictions.features, best), same_object(predictions.truth)
        contrast = contrast_loss(regions, predictions.prompts, same)
        loss = loss + config.contrast_weight * contrast
        metrics["contrast"] = float(contrast.detach())
    if config.boundary_weight:
        boundary = boundary_loss(probability, predictions.truth[:, None].expand_as(probability))
        loss = loss + config.boundary_weight * boundary
        metrics["boundary"] = float(boundary.detach())
    return loss, metrics


def masked_mean(features: Tensor, mask: Tensor) -> Tensor:
    """Return the (N, C) float32 means of features (N, C, h, w), weighted by soft masks (N, H, W) of 0..1.

    H and W are at least h and w; masks are averaged to their size. An empty mask gives 0.
    """
    height, width = features.shape[-2:]
    small = functional.adaptive_avg_pool2d(mask.float(), (height, width))[:, None]
    return (features.float() * small).sum(dim=(-1, -2)) / small.sum(dim=(-1, -2)).clamp(min=1e-6)


def same_object(truth: Tensor) -> Tensor:
    """(N, H, W) true masks → (N, N) bool: which pairs are of the same object.

    Two phrases may refer to one object; no two objects cover exactly the same cells.
    """
    cells = truth.flatten(1)
    return (cells[:, None] == cells[None]).all(dim=-1)


def contrast_loss(regions: Tensor, phrases: Tensor, same: Tensor) -> Tensor:
    """Symmetric InfoNCE between regions (N, C) and the prompt embeddings of their phrases (N, C).

    The sum of both directions, as in the draft's equation 5. same: (N, N) bool; pairs off the diagonal that
    are of the same object are neither positives nor negatives.
    """
    similarity = functional.cosine_similarity(regions.float()[:, None], phrases.float()[None], dim=2)
    own = torch.eye(len(same), dtype=torch.bool, device=same.device)
    scores = (similarity / CONTRAST_TEMPERATURE).masked_fill(same & ~own, -torch.inf)
    labels = torch.arange(len(scores), device=scores.device)
    return functional.cross_entropy(scores, labels) + functional.cross_entropy(scores.T, labels)


def boundary_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of the edges of (…, H, W) soft masks, each scaled to a maximum of 1."""
    return (_scaled(edges(probability)) - _scaled(edges(truth))).abs().mean()


def edges(mask: Tensor) -> Tensor:
    """(…, H, W) → Sobel magnitude, 1 along a sharp straight edge; the image's border is no edge."""
    padded = functional.pad(mask.reshape(-1, *mask.shape[-2:]), (1, 1, 1, 1), mode="replicate")
    # Differences and sums instead of a convolution, which autocast would compute in bfloat16.
    across = padded[:, :, 2:] - padded[:, :, :-2]
    down = padded[:, 2:] - padded[:, :-2]
    along_x = (across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]) / 4
    along_y = (down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]) / 4
    # The gradient of a square root is infinite at 0.
    return (along_x.square() + along_y.square() + 1e-8).sqrt().view_as(mask)


def _scaled(magnitude: Tensor) -> Tensor:
    return magnitude / magnitude.amax(dim=(-1, -2), keepdim=True).clamp(min=MIN_EDGE)
