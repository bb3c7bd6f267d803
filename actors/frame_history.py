"""The last second of a stream in a few pictures, for words about motion. Pure: the time is an argument.

Theory of operation. One picture in `EVERY_S` is kept, on the stream's own time line, the oldest makes room.
A look back of A seconds takes the youngest picture that is at least A - EVERY_S / 2 old: where frames are
dense, the one nearest to A. A camera of two pictures a second still has both; where a picture is missing (the
beginning, an outage, a slower camera) the looks further back are missing too, so that what there is always
ends with the nearest.
"""

from __future__ import annotations

import math
from collections import deque

from streaming.vocabulary import Pixels

EVERY_S = 0.15
"Least time between pictures kept: they are then within half of this of what is looked for."

BACK_S = (0.3, 0.9)
"How far a look goes back, nearest first: 0.3 s tell where a thing is going, 0.9 s whether it has stopped."

LATE_S = 0.3
"A picture may be older than looked for by this: two pictures a second are enough."

CAPACITY = math.ceil((max(BACK_S) - EVERY_S / 2) / EVERY_S) + 1
"Pictures from now to the furthest look; 2.4 MB of 448x252 for a stream."


class FrameHistory:
    """What one stream showed lately. Not thread-safe: the thread that tracks the stream owns it.

    Two steps, so that a picture is shrunk only if it is wanted: `if wants(at): keep(shrunk, at)`.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[float, Pixels]] = deque(maxlen=CAPACITY)

    def wants(self, pts_s: float) -> bool:
        """Whether a picture of `pts_s` is to be kept: `EVERY_S` passed, or time went back."""
        return not self._kept or not 0 <= pts_s - self._kept[-1][0] < EVERY_S

    def keep(self, pixels: Pixels, pts_s: float) -> None:
        """Hold on to a picture, (H, W, 3) uint8 RGB, as it is. If time went back the others are dropped."""
        if self._kept and pts_s < self._kept[-1][0]:
            self._kept.clear()
        self._kept.append((pts_s, pixels))

    def before(self, pts_s: float) -> tuple[Pixels, ...]:
        """Pictures of about `BACK_S` before `pts_s`, oldest first; the nearest or none if one is missing."""
        found: list[Pixels] = []
        for back_s in BACK_S:
            picture = self._youngest(pts_s - back_s - LATE_S, pts_s - back_s + EVERY_S / 2)
            if picture is None:
                break
            found.append(picture)
        return tuple(reversed(found))

    def _youngest(self, from_s: float, until_s: float) -> Pixels | None:
        inside = (pixels for at_s, pixels in reversed(self._kept) if from_s <= at_s <= until_s)
        return next(inside, None)
