"""Writes frames to an MP4 that every browser plays: H.264, yuv420p, index at the front.

An IDR every second and no B-frames, so that the file can also be streamed: a reader that joins waits a second
at most, and WebRTC, which has no B-frames, can send it without transcoding.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.error import FFmpegError

from streaming.errors import SaccadeError
from streaming.vocabulary import Pixels

_LEAST_PX, _MOST_PX = 16, 4096
"Sides of a video that encoders and the H.264 decoders of graphics cards and browsers take."


class VideoWriter:
    """Writes RGB frames of one size with their timestamps; a context manager.

    Until `close` the file is written under a temporary name beside `path`, then renamed.
    Raises SaccadeError where the file cannot be written (no folder, disk full).
    """

    def __init__(self, path: Path, *, fps: float, crf: int = 20) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        # Slide shows have fractions of a frame per second, files with a poor header thousands.
        self._fps = Fraction(min(max(fps, 1.0), 240.0)).limit_denominator(1001)
        self._crf = crf
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._last_pts = -1

    def write(self, pixels: Pixels, pts_s: float) -> None:
        """Append a frame, (H, W, 3) uint8 RGB; odd sizes lose their last row or column (yuv420p).

        Sizes that are not encoded, and later frames of another size than the first, are scaled.
        """
        height, width = max(1, pixels.shape[0] & ~1), max(1, pixels.shape[1] & ~1)
        try:
            if self._stream is None:
                self._open(*_encoded_size(width, height))
            assert self._stream is not None and self._container is not None
            video_frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(pixels[:height, :width]), format="rgb24"
            )
            # Timestamps must increase, even if the source's clock does not.
            self._last_pts = video_frame.pts = max(self._last_pts + 1, round(pts_s * self._time_base_inverse))
            video_frame.time_base = Fraction(1, self._time_base_inverse)
            video_frame.duration = round(self._time_base_inverse / self._fps)
            self._container.mux(self._stream.encode(video_frame))
        except (FFmpegError, OSError) as exc:
            raise SaccadeError(
                f"Cannot write {self._path}: {exc}.", remedy="Check the folder and the disk."
            ) from exc

    def close(self) -> None:
        """Finish and rename the file. Without a frame no file is written."""
        if self._container is None or self._stream is None:
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._partial.replace(self._path)
        except (FFmpegError, OSError) as exc:
            raise SaccadeError(f"Cannot finish {self._path}: {exc}.", remedy="Check the disk.") from exc
        finally:
            self._container = self._stream = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    _time_base_inverse = 90_000

    def _open(self, width: int, height: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._partial), "w", format="mp4", options={"movflags": "+faststart"})
        stream = self._container.add_stream("libx264", rate=self._fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, self._time_base_inverse)
        stream.options = {"crf": str(self._crf), "preset": "veryfast", "bf": "0", "g": str(round(self._fps))}
        self._stream = stream


def _encoded_size(width: int, height: int) -> tuple[int, int]:
    scale = min(max(1.0, _LEAST_PX / min(width, height)), _MOST_PX / max(width, height))
    across, down = (min(max(_LEAST_PX, round(scale * side) & ~1), _MOST_PX) for side in (width, height))
    return across, down
