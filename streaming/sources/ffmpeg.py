"""Opens and reads sources with FFmpeg, through PyAV. Its errors become SourceError here and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext

from streaming.errors import SourceError, SourceForbidden, SourceInvalid, SourceStalled, SourceUnavailable
from streaming.sources.decoder import DecodedFrame, FrameDecoder
from streaming.sources.orientation import shown_width
from streaming.url_guard import redact
from streaming.validation import DEFAULT_MAX_PIXELS

POLL_S = 0.5
"""Longest blocking read: how soon a source without data can stop, or be found stalled."""

TS_DISCONT = 0x0200
"AVFMT_TS_DISCONT in FFmpeg's avformat.h: timestamps of the format may be discontinuous."

MAX_DAMAGED_IN_A_ROW = 100
"""Consecutive failed reads after which the source is not a video, or cannot be read further."""


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """Arguments of FFmpeg to open a source."""

    location: str
    shown: str
    "The location without credentials, for messages."
    format: str | None = None
    "FFmpeg's demuxer; None: detected."
    options: Mapping[str, str] = field(default_factory=dict)
    "Options of FFmpeg's protocol and demuxer."
    open_timeout_s: float | None = None
    "None for files: neither opening nor reading is interrupted."
    parsed: frozenset[str] = frozenset()
    """Codecs whose packets FFmpeg's parser returns when the next packet begins. Such a frame arrived when the
    packet before it was read; taking the time of its own read would hide a frame period of latency."""
    max_pixels: int = DEFAULT_MAX_PIXELS
    "Of a picture; larger ones are not decoded."


def open_container(opening: OpenOptions) -> InputContainer:
    """Open a container with at least one video stream. The caller closes it.

    Raises SourceForbidden (401, 403), SourceUnavailable (cannot be reached, nothing there), SourceStalled (no
    answer in time), SourceInvalid (something else than video, or pictures that are too large).
    """
    timeout = None if opening.open_timeout_s is None else (opening.open_timeout_s, POLL_S)
    started_s = time.monotonic()
    try:
        # Also for the decoders with which FFmpeg finds out what is in the stream.
        options = {**opening.options, "max_pixels": str(opening.max_pixels)}
        container = av.open(opening.location, format=opening.format, options=options, timeout=timeout)
    except (av.FFmpegError, OSError, ValueError) as exc:
        # FFmpeg's RTSP says "invalid data" when it was interrupted in the middle of a reply.
        if opening.open_timeout_s is not None and time.monotonic() - started_s >= opening.open_timeout_s:
            raise _timed_out(opening.shown) from exc
        raise translate(exc, opening.shown) from exc
    if not container.streams.video:
        container.close()
        raise SourceInvalid(f"{opening.shown} has no video in it.", remedy="Check the URL or the file.")
    size: VideoCodecContext | None = container.streams.video[0].codec_context
    if size is None:
        container.close()
        raise SourceInvalid(
            f"{opening.shown} has video of a codec that is not known.", remedy="Convert it to H.264."
        )
    if size.height * size.width > opening.max_pixels:
        container.close()
        raise SourceInvalid(
            f"{opening.shown} has {size.width} x {size.height} pixels; at most {opening.max_pixels:,} are "
            "read.",
            remedy="Make its pictures smaller, or set max_frame_pixels.",
        )
    return container


class FFmpegReader:
    """Reads and decodes an opened source. One thread uses it; `with` closes it. Raises as
    `open_container`."""

    name = "ffmpeg"
    skipped = 0

    def __init__(self, opening: OpenOptions) -> None:
        self._shown = opening.shown
        self._damaged_reads = 0
        self._container = open_container(opening)
        self._video = self._container.streams.video[0]
        aspect = self._video.sample_aspect_ratio
        self._decoder = FrameDecoder(self._video.codec_context, opening.max_pixels, aspect)
        self._is_parsed = self._video.codec_context.name in opening.parsed
        self._last_read_s: float | None = None
        self.last_received_s = time.monotonic()
        "Monotonic time of the last packet."

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the source. May be called twice."""
        self._container.close()

    @property
    def corrupt(self) -> int:
        """Packets so far that were damaged or could not be decoded."""
        return self._damaged_reads + self._decoder.corrupt

    @property
    def length(self) -> int | None:
        """Number of frames of a file from its header; None if the header lacks it."""
        return self._video.frames or None

    @property
    def rate(self) -> float | None:
        """Frames per second from the header, or guessed by FFmpeg; None if unknown."""
        rate = self._video.average_rate or self._video.guessed_rate
        return float(rate) if rate else None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in square pixels from the header, before any turn; 0 where it lacks them."""
        context = self._video.codec_context
        return context.height, shown_width(context.width, self._video.sample_aspect_ratio)

    @property
    def clock_restarts(self) -> bool:
        """Whether timestamps of this format may jump where nothing pauses, as those of MPEG-TS do."""
        return bool(self._container.format.flags & TS_DISCONT)

    def frames(self) -> Iterator[DecodedFrame | None]:
        """Yield every frame until the source ends; None for a packet, or after `POLL_S`, without a frame.

        Raises SourceError when it cannot be read further.
        """
        damaged = 0
        while True:
            try:
                for packet in self._container.demux(self._video):
                    damaged = 0
                    yield from self._decoder.decode(packet, self._arrival()) or (None,)
                return
            except av.error.ExitError:
                # Our own interrupt: no data for POLL_S. Reading continues where it stopped.
                yield None
            except av.error.InvalidDataError as exc:
                self._damaged_reads += 1
                damaged += 1
                if damaged >= MAX_DAMAGED_IN_A_ROW:
                    raise translate(exc, self._shown) from exc
                yield None
            except (av.FFmpegError, OSError) as exc:
                raise translate(exc, self._shown) from exc

    def _arrival(self) -> float:
        """Return when the packet just read arrived, Unix time."""
        self.last_received_s = time.monotonic()
        before_s, self._last_read_s = self._last_read_s, time.time()
        return before_s if self._is_parsed and before_s is not None else self._last_read_s


def translate(exc: Exception, shown: str) -> SourceError:
    """Return FFmpeg's error as a SourceError; `shown` names the source without credentials."""
    if isinstance(exc, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return SourceForbidden(
            f"{shown} refused the user or the password (401 or 403).",
            remedy="Check the user and the password.",
        )
    if isinstance(exc, av.error.HTTPNotFoundError):
        return SourceUnavailable(
            f"{shown}: the server has nothing at this path (404).",
            remedy="Check the path, or start its camera.",
        )
    if isinstance(exc, av.error.ExitError):
        return _timed_out(shown)
    if isinstance(exc, FileNotFoundError):
        return SourceUnavailable(f"{shown} is not there.", remedy="Check the path, or plug it in.")
    if isinstance(exc, av.error.InvalidDataError | ValueError):
        return SourceInvalid(
            f"{shown} is not a video that can be decoded.", remedy="Play it elsewhere first."
        )
    what = getattr(exc, "strerror", None) or str(exc)
    return SourceUnavailable(f"{shown}: {redact(what)}.", remedy="Check that it is on and reachable.")


def _timed_out(shown: str) -> SourceStalled:
    return SourceStalled(f"{shown} did not answer in time.", remedy="Check that it is on and reachable.")
