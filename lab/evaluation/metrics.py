"""J, F and J&F of masks as DAVIS defines them, and running means.

Sources: Perazzi et al., CVPR 2016; davischallenge/davis2017-evaluation `db_eval_iou`, `db_eval_boundary`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming.vocabulary import Mask

BOUNDARY_TOLERANCE = 0.008
"Of the frame's diagonal: the distance within which boundary pixels match."


def region_j(found: Mask, true: Mask) -> float:
    """Return J, the intersection over union, 0..1; 1 where both masks are empty. Masks: (H, W) bool."""
    either = int(np.count_nonzero(found | true))
    return int(np.count_nonzero(found & true)) / either if either else 1.0


def boundary_f(found: Mask, true: Mask) -> float:
    """Return F, the harmonic mean of boundary precision and recall within `BOUNDARY_TOLERANCE`, 0..1."""
    found_edge, true_edge = _boundary(found), _boundary(true)
    if not found_edge.any() and not true_edge.any():
        return 1.0
    if not found_edge.any() or not true_edge.any():
        return 0.0
    reach = math.ceil(BOUNDARY_TOLERANCE * math.hypot(*found.shape))
    precision = float((_dilated(true_edge, reach) & found_edge).sum() / found_edge.sum())
    recall = float((_dilated(found_edge, reach) & true_edge).sum() / true_edge.sum())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def j_and_f(found: Mask, true: Mask) -> float:
    """Return the mean of J and F of a mask."""
    return (region_j(found, true) + boundary_f(found, true)) / 2


@dataclass(slots=True)
class Mean:
    """A running mean."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        """Add a value."""
        self.total += value
        self.count += 1

    @property
    def value(self) -> float:
        """The mean; NaN without values."""
        return self.total / self.count if self.count else math.nan


@dataclass(frozen=True, slots=True)
class Fit:
    """Means over masks; NaN without masks."""

    cases: int
    j: float
    f: float
    j_and_f: float


@dataclass(slots=True)
class Fits:
    """Running means of J and F."""

    j: Mean = field(default_factory=Mean)
    f: Mean = field(default_factory=Mean)

    def add(self, found: Mask, true: Mask) -> None:
        """Add a mask. Where `true` is empty, an empty mask scores 1 and any other 0."""
        self.j.add(region_j(found, true))
        self.f.add(boundary_f(found, true))

    @property
    def fit(self) -> Fit:
        """The means so far."""
        return Fit(self.j.count, self.j.value, self.f.value, (self.j.value + self.f.value) / 2)


def _boundary(mask: Mask) -> NDArray[np.bool_]:
    """Return the pixels whose right, lower or lower-right neighbour differs (DAVIS' `_seg2bmap`)."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below, across = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    edge: NDArray[np.bool_] = (mask ^ right) | (mask ^ below) | (mask ^ across)
    # The last row and column are compared in one direction only, the corner not at all.
    edge[-1, :] = mask[-1, :] ^ right[-1, :]
    edge[:, -1] = mask[:, -1] ^ below[:, -1]
    edge[-1, -1] = False
    return edge


def _dilated(edge: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    offset = np.arange(-reach, reach + 1)
    disk = (offset[:, None] ** 2 + offset[None, :] ** 2 <= reach**2).astype(np.uint8)
    return np.asarray(cv2.dilate(edge.astype(np.uint8), disk), dtype=np.bool_)
