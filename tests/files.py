"""Video files of every kind, made in the test: turned, interlaced, late, raw, with a pause."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

RATE = 25
HEIGHT, WIDTH = 96, 160


def moving_square(moment: float) -> np.ndarray:
    """(96, 160, 3): a red square that moves right by four pixels per moment; the top left corner is green."""
    pixels = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    left = round(4 * moment) % (WIDTH - 24)
    pixels[36:60, left : left + 24] = (230, 40, 40)
    pixels[:16, :16] = (40, 230, 40)
    return pixels


def interlaced(index: int) -> np.ndarray:
    """Two fields of one frame, half a frame period apart, the upper one first."""
    frame = moving_square(index)
    frame[1::2] = moving_square(index + 0.5)[1::2]
    return frame


def write(
    path: Path,
    *,
    codec: str = "libx264",
    container: str | None = None,
    picture: Callable[[int], np.ndarray] = moving_square,
    frames: int = 25,
    pts: Callable[[int], int] = lambda index: index,
    turn: tuple[int, bool, bool] = (0, False, False),
    pix_fmt: str = "yuv420p",
    pixel_aspect: Fraction | None = None,
    **options: str,
) -> Path:
    """Write `frames` pictures at 25 per second, the k-th at `pts(k)` frame periods.

    `pixel_aspect`: width of a pixel through its height. `turn`: degrees counter-clockwise to show the
    pictures upright, then mirrored across, then mirrored down.
    """
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    with av.open(str(path), "w", format=container, options={"avoid_negative_ts": "disabled"}) as out:
        stream: Any = out.add_stream(codec, rate=RATE, options={**quiet, **options})
        stream.height, stream.width = picture(0).shape[:2]
        stream.pix_fmt, stream.gop_size = pix_fmt, 10
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = stream.sample_aspect_ratio = pixel_aspect
        if any(turn):
            stream.set_display_rotation(*turn)
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts, frame.time_base = pts(index), Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def duration_s(path: Path) -> float:
    """Return how long players say that a file is."""
    with av.open(str(path)) as container:
        assert container.duration is not None
        return container.duration / 1_000_000
