"""Match the masks of an answer with the tracks of its query. Pure functions.

Masks are compared on the keyframe that the answer is about, where the pin holds each track's own mask.
Overlapping pairs are matched first, in order of falling IoU. If the query's words have not changed, the masks
that remain go to tracks that were not visible on the keyframe: a lost object is found and keeps its TrackId.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.geometry import mask_iou

BoolMask = NDArray[np.bool_]

MATCH_IOU: Final = 0.3
"Least IoU of two masks of one object, one of them coarse (Grounded-SAM-2's camera demo also takes 0.3)."
DUPLICATE_IOU: Final = 0.6
"A second track that overlaps a matched mask this much follows the same object."


@dataclass(frozen=True, slots=True)
class Association:
    """Indices into an answer's masks and into its query's tracks."""

    pairs: tuple[tuple[int, int], ...]
    "(mask, track)"
    new: tuple[int, ...]
    "Masks without a track."
    missed: tuple[int, ...]
    "Tracks visible on the keyframe that match no mask of the answer."
    duplicates: tuple[int, ...]
    "Tracks that follow an object which another track follows already."


def associate(
    masks: Sequence[BoolMask], tracks: Sequence[BoolMask | None], *, reacquire: bool
) -> Association:
    """Pair masks with tracks.

    masks: (low_res, low_res) each, not empty. tracks: their masks on the keyframe, None where not visible or
    not started yet. reacquire: assign the masks that overlap no track to tracks without a mask, in order.
    """
    overlaps = {
        (m, t): mask_iou(mask, track)
        for m, mask in enumerate(masks)
        for t, track in enumerate(tracks)
        if track is not None
    }
    track_of: dict[int, int] = {}
    mask_of: dict[int, int] = {}
    duplicates = set()
    for (m, t), overlap in sorted(overlaps.items(), key=lambda item: -item[1]):
        if overlap < MATCH_IOU or t in mask_of:
            continue
        if m not in track_of:
            track_of[m], mask_of[t] = t, m
        elif overlap >= DUPLICATE_IOU:
            duplicates.add(t)
    duplicates -= mask_of.keys()
    if reacquire:
        not_visible = [t for t, track in enumerate(tracks) if track is None]
        unmatched = [m for m in range(len(masks)) if m not in track_of]
        for m, t in zip(unmatched, not_visible, strict=False):
            track_of[m], mask_of[t] = t, m
    visible = [t for t, track in enumerate(tracks) if track is not None]
    return Association(
        pairs=tuple(sorted(track_of.items())),
        new=tuple(m for m in range(len(masks)) if m not in track_of),
        missed=tuple(t for t in visible if t not in mask_of and t not in duplicates),
        duplicates=tuple(sorted(duplicates)),
    )
