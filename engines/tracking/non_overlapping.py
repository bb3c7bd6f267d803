"""Whose a pixel is that two tracks claim.

A mask leaks onto what its object passes; when the object is gone, the leak is all that is left of it: of 129
masks shown of objects out of sight (24 held-out clips of 4 s) 128 had left their object (J < 0.3) while it
could still be seen. So objects that were apart where a look showed them share no pixels from then on.
SAM-2 has this for all objects (sam2_base.py, `non_overlap_masks_for_mem_enc`); here two queries may mean one
object, or an object and a part of it, and those keep their pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.tracking.association import BoolMask
from streaming.vocabulary import Logits, TrackId

APART_INSIDE: Final = 0.3
"Two masks are of different things where less than this share of the smaller one is inside the other."
ALIKE_INSIDE: Final = 0.6
"They are of one thing, or of a thing and its part, where more is; between the two nothing is said."
TAKEN: Final = -10.0
"Logit of a pixel that is a rival's; SAM-2's own."


class Rivals:
    """Which tracks follow different things, as far as looks have shown."""

    def __init__(self, pairs: Iterable[Sequence[int]] = ()) -> None:
        self._pairs = {frozenset(map(TrackId, pair)) for pair in pairs}

    def learn(self, track_id: TrackId, mask: BoolMask, others: Mapping[TrackId, BoolMask | None]) -> None:
        """A track was shown by a mask on a picture where the others had theirs, None where not seen."""
        for other, theirs in others.items():
            if other == track_id or theirs is None:
                continue
            inside = _inside(mask, theirs)
            if inside < APART_INSIDE:
                self._pairs.add(frozenset((track_id, other)))
            elif inside > ALIKE_INSIDE:
                self._pairs.discard(frozenset((track_id, other)))

    def forget(self, track_id: TrackId) -> None:
        """A track has ended."""
        self._pairs = {pair for pair in self._pairs if track_id not in pair}

    def among(self, tracks: Sequence[TrackId]) -> NDArray[np.bool_]:
        """(N, N): who of them is whose rival."""
        return np.array([[frozenset((a, b)) in self._pairs for b in tracks] for a in tracks])

    def export(self) -> list[list[int]]:
        """The pairs, in order."""
        return sorted(sorted(pair) for pair in self._pairs)


def _inside(a: BoolMask, b: BoolMask) -> float:
    """Share of the smaller mask that is inside the other; an empty one is inside of any."""
    smaller = min(np.count_nonzero(a), np.count_nonzero(b))
    return np.count_nonzero(a & b) / smaller if smaller else 1.0


def share_out(
    logits: Logits, rivals: NDArray[np.bool_], claims: NDArray[np.bool_]
) -> tuple[Logits, NDArray[np.float64]]:
    """Leave each pixel to the rival whose logit there is the highest.

    logits (N, h, w); rivals (N, N); claims (N,): who may take from others. Returns new logits, `TAKEN` where
    a rival took the pixel, and how much of its mask each keeps, (N,) 0..1.
    """
    shared, kept = logits.copy(), np.ones(len(logits))
    for row, own in enumerate(logits):
        takers = np.flatnonzero(rivals[row] & claims)
        if not takers.size:
            continue
        mask = own > 0
        taken = mask & (logits[takers].max(axis=0) > own)
        if taken.any():
            shared[row][taken] = TAKEN
            kept[row] = 1 - np.count_nonzero(taken) / np.count_nonzero(mask)
    return shared, kept
