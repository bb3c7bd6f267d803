"""Turns pictures upright, as their display matrix says."""

from __future__ import annotations

import math
import struct
from typing import Any, Final

import numpy as np
from av import VideoFrame

from streaming.vocabulary import Pixels

Turn = tuple[int, int, int, int]
"""(a, b, c, d) of a display matrix, which shows pixel (x, y) at (a x + c y, b x + d y). FFmpeg, display.h."""

IDENTITY: Final[Turn] = (1, 0, 0, 1)


def turn_of(frame: VideoFrame) -> Turn:
    """Return the turn of a frame's display matrix, which may come from Exif data; IDENTITY without one."""
    # PyAV makes a reference cycle with the frame, whose memory would be freed late: that of a small copy.
    frame = frame.reformat(width=16, height=16)
    try:
        side_data: Any = frame.side_data
        data = side_data["DISPLAYMATRIX"]
    except (KeyError, ValueError):
        # PyAV 18.1 raises ValueError where there is side data that it has no name for: Exif in photographs.
        # It has the angle then (counter-clockwise), but not whether the picture is mirrored.
        angle = math.radians(frame.rotation)
        a, b = round(math.cos(angle)), -round(math.sin(angle))
        return a, b, -b, a
    a, b, _, c, d = struct.unpack("=5i", memoryview(data)[:20])
    return a, b, c, d


def upright(pixels: Pixels, turn: Turn) -> Pixels:
    """Return an (H, W, 3) picture turned by the nearest quarter, and mirrored, C-contiguous."""
    a, b, c, d = turn
    is_transposed = abs(b) > abs(a)
    across, down = (c, b) if is_transposed else (a, d)
    shown = pixels.transpose(1, 0, 2) if is_transposed else pixels
    return np.ascontiguousarray(shown[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])
