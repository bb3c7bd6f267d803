"""A clip on air: over a real RTSP server, and which of its pictures is on at a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streaming.errors import ServiceUnavailable
from streaming.sources.rtsp_server import ClipPublisher, RtspServer, find_go2rtc
from streaming.vocabulary import FrameResult


@dataclass(frozen=True, slots=True)
class Camera:
    """The clip as a live source. Pictures are counted through all its rounds."""

    url: str
    fps: float
    publisher: ClipPublisher | None
    "None where the file itself is the source: then the frame index is the picture."

    def clip_frame(self, result: FrameResult, offset: int | None) -> int:
        """The picture that a result is about; `offset` as `offset_of` settles it."""
        if self.publisher is None or offset is None:
            return result.frame_index
        return round(result.pts_s * self.fps) + offset

    def offset_of(self, result: FrameResult) -> int | None:
        """Picture on at capture, less the picture by the stream's own time line.

        A picture arrives after it was published, within a frame period at best: the smallest difference seen
        is the true one.
        """
        on_air = self.on_at(result.captured_s)
        return None if on_air is None else on_air - round(result.pts_s * self.fps)

    def on_at(self, moment_s: float) -> int | None:
        """The picture that is on at a moment (Unix time); None where nothing is on air yet."""
        if self.publisher is None or self.publisher.first_frame_s is None:
            return None
        return int((moment_s - self.publisher.first_frame_s) * self.fps)


def require_go2rtc() -> Path:
    """The RTSP server's binary, as `find_go2rtc` finds it from here. Raises ServiceUnavailable."""
    binary = find_go2rtc(Path.cwd())
    if binary is None:
        raise ServiceUnavailable(
            "No RTSP server is installed here.",
            remedy="Run `make rtsp-server` and start from that folder, or put go2rtc on the PATH.",
        )
    return binary


@contextmanager
def on_air(clip: Path, fps: float, binary: Path) -> Iterator[Camera]:
    """Play a clip over RTSP on loopback for as long as the block lasts; its packets are sent as they are.

    Raises what `ClipPublisher` and `RtspServer.start` raise.
    """
    publisher = ClipPublisher(clip)
    publisher.start()
    try:
        with RtspServer(binary, publisher.port) as server:
            yield Camera(server.url, fps, publisher)
    finally:
        publisher.stop()
