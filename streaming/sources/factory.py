"""Makes the source of a `StreamSpec`."""

from __future__ import annotations

from dataclasses import replace

from streaming.rtsp.source import RtspSource
from streaming.settings import Settings
from streaming.sources.base import Source
from streaming.sources.camera import CameraSource
from streaming.sources.clip import ClipSource, Playback
from streaming.sources.live import SourceLimits
from streaming.url_guard import SourcePolicy, check_source_url, parse_source_url
from streaming.vocabulary import StreamSpec
from streaming.webrtc.whip import WhipSource

LIVE_CLIP = Playback(paced=True, looped=True)
"""A file added as a stream is played like a camera, without end."""


def open_source(
    spec: StreamSpec, policy: SourcePolicy, settings: Settings, playback: Playback = LIVE_CLIP
) -> Source:
    """Make the source of `spec`, not yet started. Touches no network; `playback` applies to files.

    Raises InvalidStream, RefusedAddress or NotFound as `url_guard.parse_source_url` does.
    """
    parsed = parse_source_url(spec.url, policy)
    limits = SourceLimits(
        settings.source_connect_timeout_s, settings.source_timeout_s, settings.max_frame_pixels
    )
    match parsed.scheme:
        case "whip":
            return WhipSource(spec.stream_id, settings, limits)
        case "file":
            playback = replace(playback, max_pixels=settings.max_frame_pixels)
            return ClipSource(spec.stream_id, parsed.location, playback)
        case "camera":
            return CameraSource(spec.stream_id, parsed, limits)
        case "rtsp" | "rtsps":
            return RtspSource(
                spec.stream_id, lambda: check_source_url(spec.url, policy), limits, settings.rtsp_reader
            )
