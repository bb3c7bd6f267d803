"""Pictures into an MP4 that every browser plays: H.264, yuv420p, index at the front.

A key frame every second and no B-frames, so that the file can also be streamed: whoever joins waits a second
at most, and WebRTC, which has no B-frames, can take it as it is.
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


class VideoWriter:
    """Writes RGB frames of one size at their own times; a context manager.

    The file appears under its name only when it is whole: until `close` it is written beside it.
    Raises SaccadeError where the file cannot be written (no folder, disk full).
    """

    def __init__(self, path: Path, *, fps: float, crf: int = 20) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._fps = Fraction(fps).limit_denominator(1001)
        self._crf = crf
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._last_pts = -1

    def write(self, pixels: Pixels, pts_s: float) -> None:
        """Append one (H, W, 3) uint8 RGB picture; odd sizes lose their last row or column (yuv420p)."""
        height, width = pixels.shape[0] & ~1, pixels.shape[1] & ~1
        try:
            if self._stream is None:
                self._open(width, height)
            assert self._stream is not None and self._container is not None
            picture = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(pixels[:height, :width]), format="rgb24"
            )
            # Two frames must not share a time, whatever the source's clock did.
            self._last_pts = picture.pts = max(self._last_pts + 1, round(pts_s * self._time_base_inverse))
            picture.time_base = Fraction(1, self._time_base_inverse)
            self._container.mux(self._stream.encode(picture))
        except (FFmpegError, OSError) as exc:
            raise SaccadeError(
                f"Cannot write {self._path}: {exc}.", remedy="Check the folder and the disk."
            ) from exc

    def close(self) -> None:
        """Finish the file and give it its name. Without a frame there is no file."""
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
