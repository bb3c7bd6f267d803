"""Keep the masks of distinct objects from overlapping.

A mask leaks onto objects that its own object passes; when the object leaves, the leak remains: of 129 masks
published for objects out of view (24 held-out clips of 4 s) 128 had left their object (J < 0.3) while it was
still visible. So tracks whose masks were disjoint on a keyframe share no pixels afterwards.
SAM-2 applies this to all objects (sam2_base.py, `non_overlap_masks_for_mem_enc`). Here two queries may refer
to one object, or to an object and a part of it; such tracks may overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.tracking.association import BoolMask
from streaming.vocabulary import Logits, TrackId

DISTINCT_SHARE: Final = 0.3
"Two masks show distinct objects if less than this share of the smaller mask lies inside the other."
SAME_SHARE: Final = 0.6
"They show one object, or an object and its part, if more than this does. In between nothing changes."
REMOVED_LOGIT: Final = -10.0
"Logit of a pixel that another object takes; SAM-2 clamps such pixels to the same value."


class NonOverlappingPairs:
    """The pairs of tracks that follow distinct objects, as far as keyframes have shown."""

    def __init__(self, pairs: Iterable[Sequence[int]] = ()) -> None:
        self._pairs = {frozenset(map(TrackId, pair)) for pair in pairs}

    def update(self, track_id: TrackId, mask: BoolMask, others: Mapping[TrackId, BoolMask | None]) -> None:
        """Compare a track's mask on a keyframe with the others' masks there, None where not visible."""
        for other, other_mask in others.items():
            if other == track_id or other_mask is None:
                continue
            inside = _share_inside(mask, other_mask)
            if inside < DISTINCT_SHARE:
                self._pairs.add(frozenset((track_id, other)))
            elif inside > SAME_SHARE:
                self._pairs.discard(frozenset((track_id, other)))

    def remove(self, track_id: TrackId) -> None:
        """Remove the pairs of a track that has ended."""
        self._pairs = {pair for pair in self._pairs if track_id not in pair}

    def matrix(self, tracks: Sequence[TrackId]) -> NDArray[np.bool_]:
        """Return (N, N) bool, symmetric: True where two of these tracks must not overlap."""
        return np.array([[frozenset((a, b)) in self._pairs for b in tracks] for a in tracks])

    def export(self) -> list[list[int]]:
        """Return the pairs, sorted."""
        return sorted(sorted(pair) for pair in self._pairs)


def _share_inside(a: BoolMask, b: BoolMask) -> float:
    """Return the share of the smaller mask that lies inside the other; 1 where a mask is empty."""
    smaller = min(np.count_nonzero(a), np.count_nonzero(b))
    return np.count_nonzero(a & b) / smaller if smaller else 1.0


def apply_non_overlapping_constraints(
    logits: Logits, pairs: NDArray[np.bool_], reliable: NDArray[np.bool_]
) -> tuple[Logits, NDArray[np.float64]]:
    """Give each pixel to the object of a pair with the higher logit there.

    logits (N, h, w); pairs (N, N), see `NonOverlappingPairs.matrix`; reliable (N,): objects that may take
    pixels from others. Returns new logits, REMOVED_LOGIT where a pixel was taken, and the share of its mask
    that each object retains, (N,) 0..1.
    """
    constrained, retained = logits.copy(), np.ones(len(logits))
    for row, own in enumerate(logits):
        others = np.flatnonzero(pairs[row] & reliable)
        if not others.size:
            continue
        mask = own > 0
        taken = mask & (logits[others].max(axis=0) > own)
        if taken.any():
            constrained[row][taken] = REMOVED_LOGIT
            retained[row] = 1 - np.count_nonzero(taken) / np.count_nonzero(mask)
    return constrained, retained
