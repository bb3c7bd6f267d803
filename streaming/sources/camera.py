"""The source of a local camera, by Video4Linux2."""

from __future__ import annotations

from pathlib import Path

from streaming.errors import SourceUnavailable
from streaming.sources.ffmpeg import FFmpegReader, OpenOptions
from streaming.sources.live import LiveSource, SourceTimeouts
from streaming.vocabulary import StreamId


class CameraSource(LiveSource):
    """A camera at a device such as `/dev/video0`; reconnects after it was unplugged."""

    def __init__(self, stream_id: StreamId, device: str, timeouts: SourceTimeouts) -> None:
        super().__init__(stream_id, lambda: _open(device, timeouts), timeouts)


def _open(device: str, timeouts: SourceTimeouts) -> FFmpegReader:
    if not Path(device).exists():
        raise SourceUnavailable(f"There is no camera at {device}.", remedy="Plug it in, or see /dev/video*.")
    return FFmpegReader(OpenOptions(device, device, format="v4l2", open_timeout_s=timeouts.first_frame_s))
