"""Gives pictures the shape in which players show them: square pixels, upright by their display matrix."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any, Final

import numpy as np
from av import VideoFrame
from av.filter import Graph

from streaming.vocabulary import Pixels

Turn = tuple[int, int, int, int]
"""(a, b, c, d) of a display matrix, which shows pixel (x, y) at (a x + c y, b x + d y). FFmpeg, display.h."""

IDENTITY: Final[Turn] = (1, 0, 0, 1)

MAX_ASPECT: Final = 4
"""Pixels that are more oblong than this are a fault of the header."""

_UNNAMED: Final = range(28, 32)
"""Kinds of side data for which PyAV 18.1 has no name, and raises ValueError; 31 is Exif. FFmpeg, frame.h."""


def turn_of(frame: VideoFrame) -> Turn:
    """Return the turn of a frame's display matrix, which may come from Exif data; IDENTITY without one."""
    # PyAV makes a reference cycle with the frame, whose memory would be freed late: that of a small copy.
    side_data: Any = _without_unnamed(frame.reformat(width=16, height=16)).side_data
    try:
        data = side_data["DISPLAYMATRIX"]
    except KeyError:
        return IDENTITY
    a, b, _, c, d = struct.unpack("=5i", memoryview(data)[:20])
    return a, b, c, d


def _without_unnamed(frame: VideoFrame) -> VideoFrame:
    """Return the frame without side data of the kinds `_UNNAMED`."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    removals = [graph.add("sidedata", f"mode=delete:type={kind}") for kind in _UNNAMED]
    graph.link_nodes(source, *removals, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def shown_width(width: int, pixel_aspect: Fraction | None) -> int:
    """Return the width at which square pixels show pictures of pixels `pixel_aspect` times as wide as high.

    The height stays, as in players. None, and more than MAX_ASPECT either way, count as square.
    """
    if not pixel_aspect or not 1 / MAX_ASPECT <= pixel_aspect <= MAX_ASPECT:
        return width
    return max(1, round(width * pixel_aspect))


def upright(pixels: Pixels, turn: Turn) -> Pixels:
    """Return an (H, W, 3) picture turned by the nearest quarter, and mirrored, C-contiguous."""
    a, b, c, d = turn
    is_transposed = abs(b) > abs(a)
    across, down = (c, b) if is_transposed else (a, d)
    shown = pixels.transpose(1, 0, 2) if is_transposed else pixels
    return np.ascontiguousarray(shown[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])
