"""First masks carried on through a film, without another word, by the tracker that the service uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.masks import decode_mask
from engines.tracking.tracker import SamTracker
from streaming.vocabulary import Answer, Clock, Frame, Logits, Mask, Pixels, QueryId, SegPrompt, StreamId

GIVEN_PX: Final = 64
"Side of the masks that a grounder of this size gives."
_STREAM: Final = StreamId("score")


def propagate(
    tracker: SamTracker, pictures: Iterable[Pixels], first: NDArray[np.bool_]
) -> Iterator[list[Mask | None]]:
    """Give things by their masks (N, H, W) on the first picture, and follow them through the rest.

    Yields for every picture after the first each thing's mask, None where its track has none. A track that
    is lost is not replaced.
    """
    for index, pixels in enumerate(pictures):
        tracks = tracker.step(stream_frame(index, pixels), [answer_from_masks(first)] if index == 1 else [])
        if index == 0:
            tracker.pin(0)
            continue
        masks = {int(track.phrase): decode_mask(track.mask) for track in tracks if track.mask}
        yield [masks.get(thing) for thing in range(len(first))]


def answer_from_masks(masks: NDArray[np.bool_]) -> Answer:
    """Masks (N, H, W) on frame 0 as a grounder's answer; each phrase is its thing's index."""
    size = (GIVEN_PX, GIVEN_PX)
    cover = [cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) for mask in masks]
    return answer_from_logits((np.stack(cover) - 0.5).astype(np.float32) * 20)


def answer_from_logits(logits: Logits) -> Answer:
    """Logits (N, h, w) on frame 0 as an answer; each phrase is its thing's index."""
    prompts = tuple(SegPrompt(str(thing), np.zeros(1, np.float32), 1.0) for thing in range(len(logits)))
    return Answer(_STREAM, QueryId("q"), 1, 0, "", prompts, logits)


def stream_frame(index: int, pixels: Pixels) -> Frame:
    """A picture of a film as a frame of a stream, 30 a second."""
    return Frame(_STREAM, index, pixels, index / 30, 0.0, Clock.ARRIVAL)
