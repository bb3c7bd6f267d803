"""Which mask of an answer belongs to which track of its query: pure.

Judged on the keyframe the answer speaks of, where each track's own mask was kept with the pin. Tracks
that overlap come first, the best pair first. Then, for words that have not changed, masks left over
go to tracks that were not visible there: what was lost has been found again and keeps its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.geometry import mask_iou

BoolMask = NDArray[np.bool_]

SAME_IOU: Final = 0.3
"Two masks of one object, one of them coarse (Grounded-SAM-2's camera demo matches at 0.3 too)."
DOUBLE_IOU: Final = 0.6
"Two tracks that both cover one mask so well follow the same thing."


@dataclass(frozen=True, slots=True)
class Association:
    """Indices into an answer's masks and into its query's tracks."""

    pairs: tuple[tuple[int, int], ...]
    "(mask, track)"
    new: tuple[int, ...]
    "Masks that nobody follows yet."
    missed: tuple[int, ...]
    "Tracks visible on the keyframe where the answer saw nothing."
    doubles: tuple[int, ...]
    "Tracks that follow what another one follows already."


def associate(
    masks: Sequence[BoolMask], tracks: Sequence[BoolMask | None], *, reacquire: bool
) -> Association:
    """Pair masks with tracks.

    masks: (low, low) each, not empty. tracks: their masks on the keyframe, None where not visible or
    not born. reacquire: give masks that overlap no track to tracks without a mask, in order.
    """
    overlaps = {
        (m, t): mask_iou(mask, track)
        for m, mask in enumerate(masks)
        for t, track in enumerate(tracks)
        if track is not None
    }
    pairs: dict[int, int] = {}
    taken: dict[int, int] = {}
    doubles = set()
    for (m, t), overlap in sorted(overlaps.items(), key=lambda item: -item[1]):
        if overlap < SAME_IOU or t in taken:
            continue
        if m not in pairs:
            pairs[m], taken[t] = t, m
        elif overlap >= DOUBLE_IOU:
            doubles.add(t)
    doubles -= taken.keys()
    if reacquire:
        hidden = [t for t, track in enumerate(tracks) if track is None]
        for m, t in zip([m for m in range(len(masks)) if m not in pairs], hidden, strict=False):
            pairs[m], taken[t] = t, m
    return Association(
        pairs=tuple(sorted(pairs.items())),
        new=tuple(m for m in range(len(masks)) if m not in pairs),
        missed=tuple(
            t for t, track in enumerate(tracks) if track is not None and t not in taken and t not in doubles
        ),
        doubles=tuple(sorted(doubles)),
    )
