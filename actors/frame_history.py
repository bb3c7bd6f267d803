"""A few small frames of a stream's last second, for queries about motion. Pure.

Theory of operation. One frame in `EVERY_S` of media time is stored; the oldest is dropped. A frame from A
seconds before is the newest stored frame at least A - EVERY_S / 2 old: where frames are dense, the nearest to
A. A camera of two frames a second still has both. Where a frame is missing (the beginning, an outage, a
slower camera) the frames before it are left out too, so the result always ends with the nearest.
"""

from __future__ import annotations

import math
from collections import deque

from streaming.vocabulary import Pixels

EVERY_S = 0.15
"Least time between stored frames: they are within half of this of the times asked for."

BACK_S = (0.3, 0.9)
"How old the frames are, nearest first: 0.3 s show where an object moves, 0.9 s whether it has stopped."

LATE_S = 0.3
"How much older than asked for a frame may be: two frames a second are enough."

CAPACITY = math.ceil((max(BACK_S) - EVERY_S / 2) / EVERY_S) + 1
"Stored frames, to the furthest of `BACK_S`; 2.4 MB of 448x252 RGB per stream."


class FrameHistory:
    """Stored frames of one stream by media time. Not thread-safe: the stream's tracking thread owns it.

    Two calls, so that only frames that are stored are resized: `if is_due(pts_s): add(resized, pts_s)`.
    """

    def __init__(self) -> None:
        self._frames: deque[tuple[float, Pixels]] = deque(maxlen=CAPACITY)

    def is_due(self, pts_s: float) -> bool:
        """Return whether to store the frame of this time: `EVERY_S` passed, or time went back."""
        return not self._frames or not 0 <= pts_s - self._frames[-1][0] < EVERY_S

    def add(self, pixels: Pixels, pts_s: float) -> None:
        """Store a frame, (H, W, 3) uint8 RGB, without a copy. If time went back the others are dropped."""
        if self._frames and pts_s < self._frames[-1][0]:
            self._frames.clear()
        self._frames.append((pts_s, pixels))

    def before(self, pts_s: float) -> tuple[Pixels, ...]:
        """Return the frames of about `BACK_S` before `pts_s`, oldest first; the nearest or none if one is
        missing.
        """
        found: list[Pixels] = []
        for back_s in BACK_S:
            pixels = self._newest(pts_s - back_s - LATE_S, pts_s - back_s + EVERY_S / 2)
            if pixels is None:
                break
            found.append(pixels)
        return tuple(reversed(found))

    def _newest(self, from_s: float, until_s: float) -> Pixels | None:
        inside = (pixels for at_s, pixels in reversed(self._frames) if from_s <= at_s <= until_s)
        return next(inside, None)
