"""The source of a local camera, by Video4Linux2."""

from __future__ import annotations

import contextlib
from pathlib import Path

from streaming.errors import SourceError, SourceUnavailable
from streaming.sources.ffmpeg import FFmpegReader, OpenOptions
from streaming.sources.live import LiveSource, SourceLimits
from streaming.url_guard import ParsedSource
from streaming.vocabulary import StreamId


class CameraSource(LiveSource):
    """A camera at a device such as `/dev/video0`; reconnects after it was unplugged."""

    def __init__(self, stream_id: StreamId, source: ParsedSource, limits: SourceLimits) -> None:
        super().__init__(stream_id, lambda: _open(source, limits), limits)


def _open(source: ParsedSource, limits: SourceLimits) -> FFmpegReader:
    device = source.location
    if not Path(device).exists():
        raise SourceUnavailable(f"There is no camera at {device}.", remedy="Plug it in, or see /dev/video*.")
    *first, last = camera_options(source, limits)
    for options in first:
        with contextlib.suppress(SourceError):
            return FFmpegReader(options)
    return FFmpegReader(last)


def camera_options(source: ParsedSource, limits: SourceLimits) -> list[OpenOptions]:
    """Return FFmpeg's options, to be tried in order. Without a format of the user's choice MJPEG comes first:
    over USB 2 most cameras send uncompressed pictures (YUYV) at 5 fps, and MJPEG at full rate."""
    given = dict(source.options)
    choices = [given] if "input_format" in given else [{**given, "input_format": "mjpeg"}, given]
    return [
        OpenOptions(
            source.location,
            source.shown,
            "v4l2",
            options,
            limits.first_frame_s,
            max_pixels=limits.max_pixels,
        )
        for options in choices
    ]
