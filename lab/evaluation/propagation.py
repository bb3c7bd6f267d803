"""Propagate the masks of a clip's first frame through the clip, with the service's tracker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.masks import decode_mask
from engines.tracking.tracker import SamTracker
from streaming.vocabulary import Answer, Clock, Frame, Logits, Mask, Pixels, QueryId, SegPrompt, StreamId

MASK_PX: Final = 64
"Side of the grounder's mask logits that prompts are made of."
_STREAM: Final = StreamId("score")


def propagate(
    tracker: SamTracker, frames: Iterable[Pixels], first: NDArray[np.bool_]
) -> Iterator[list[Mask | None]]:
    """Add objects by their masks (N, H, W) on the first frame and track them through the others.

    Yields for every frame after the first each object's mask (H, W), None where its track has none. Lost
    tracks are not replaced. The tracker must be new and have a capacity of at least N.
    """
    for index, pixels in enumerate(frames):
        tracks = tracker.step(stream_frame(index, pixels), [answer_from_masks(first)] if index == 1 else [])
        if index == 0:
            tracker.pin(0)
            continue
        masks = {int(track.phrase): decode_mask(track.mask) for track in tracks if track.mask}
        yield [masks.get(index) for index in range(len(first))]


def answer_from_masks(masks: NDArray[np.bool_]) -> Answer:
    """Return masks (N, H, W) on frame 0 as a grounder's answer; each phrase is its object's index."""
    size = (MASK_PX, MASK_PX)
    cover = [cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) for mask in masks]
    return answer_from_logits((np.stack(cover) - 0.5).astype(np.float32) * 20)


def answer_from_logits(logits: Logits) -> Answer:
    """Return logits (N, h, w) on frame 0 as a grounder's answer; each phrase is its object's index."""
    prompts = tuple(SegPrompt(str(index), np.zeros(1, np.float32), 1.0) for index in range(len(logits)))
    return Answer(_STREAM, QueryId("q"), 1, 0, "", prompts, logits)


def stream_frame(index: int, pixels: Pixels) -> Frame:
    """Return an image (H, W, 3) as frame `index` of a stream with 30 frames per second."""
    return Frame(_STREAM, index, pixels, index / 30, 0.0, Clock.ARRIVAL)
