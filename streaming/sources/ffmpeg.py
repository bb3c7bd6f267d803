"""Sources that FFmpeg opens and reads, through PyAV. Its errors are translated here and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer

from streaming.errors import SourceError, SourceForbidden, SourceInvalid, SourceStalled, SourceUnavailable
from streaming.sources.decoder import DecodedFrame, FrameDecoder
from streaming.url_guard import redact

POLL_S = 0.5
"""A silent source is looked at this often: how soon it can stop, or be called stalled."""

MAX_DAMAGED_IN_A_ROW = 100
"""Damaged reads without one good packet between them: then it is not video, or it cannot be read on."""


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How to open a source with FFmpeg."""

    location: str
    shown: str
    "The location without its secrets, for messages."
    format: str | None = None
    "FFmpeg's demuxer; None lets it find out."
    options: Mapping[str, str] = field(default_factory=dict)
    "FFmpeg's options of protocol and demuxer."
    open_timeout_s: float | None = None
    "None for files: they are not interrupted, neither at opening nor at reading."
    parsed: frozenset[str] = frozenset()
    """Codecs whose packets FFmpeg's parser holds back until the next one begins. Such a picture arrived when
    the packet before it was read; dating it by its own reading would hide a frame period of latency."""


def open_container(opening: OpenOptions) -> InputContainer:
    """What FFmpeg makes of the source; it has at least one video stream. The caller closes it.

    Raises SourceForbidden (401, 403), SourceUnavailable (cannot be reached, nothing there), SourceStalled (no
    answer in time), SourceInvalid (something else than video).
    """
    timeout = None if opening.open_timeout_s is None else (opening.open_timeout_s, POLL_S)
    started_s = time.monotonic()
    try:
        container = av.open(
            opening.location, format=opening.format, options=dict(opening.options), timeout=timeout
        )
    except (av.FFmpegError, OSError, ValueError) as exc:
        # FFmpeg's RTSP says "invalid data" when it was interrupted in the middle of a reply.
        if opening.open_timeout_s is not None and time.monotonic() - started_s >= opening.open_timeout_s:
            raise _silent(opening.shown) from exc
        raise translate(exc, opening.shown) from exc
    if not container.streams.video:
        container.close()
        raise SourceInvalid(f"{opening.shown} has no video in it.", remedy="Check the URL or the file.")
    return container


class FFmpegReader:
    """An opened source. One thread reads it; `with` closes it. Raises what `open_container` raises."""

    def __init__(self, opening: OpenOptions) -> None:
        self._shown = opening.shown
        self._damaged_reads = 0
        self._container = open_container(opening)
        self._video = self._container.streams.video[0]
        self._decoder = FrameDecoder(self._video.codec_context)
        self._held_back = self._video.codec_context.name in opening.parsed
        self._last_read_s: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the source. May be called twice."""
        self._container.close()

    def rewind(self) -> None:
        """Back to the first picture; files only."""
        self._container.seek(0)

    @property
    def corrupt(self) -> int:
        """Packets so far that were damaged or could not be decoded."""
        return self._damaged_reads + self._decoder.corrupt

    @property
    def length(self) -> int | None:
        """Pictures in a file, as its header says; None where it does not say."""
        return self._video.frames or None

    @property
    def rate(self) -> float | None:
        """Pictures per second, as the header says or FFmpeg guesses; None where neither does."""
        rate = self._video.average_rate or self._video.guessed_rate
        return float(rate) if rate else None

    def frames(self) -> Iterator[DecodedFrame | None]:
        """Every picture until the source ends; None when a packet, or `POLL_S`, passed without one.

        Raises SourceError when it cannot be read on.
        """
        damaged = 0
        while True:
            try:
                for packet in self._container.demux(self._video):
                    damaged = 0
                    yield from self._decoder.decode(packet, self._arrival()) or (None,)
                return
            except av.error.ExitError:
                # Our own interrupt: nothing came for POLL_S. Reading can go on where it stopped.
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
        """When the packet that was just read had come, Unix time."""
        before_s, self._last_read_s = self._last_read_s, time.time()
        return before_s if self._held_back and before_s is not None else self._last_read_s


def translate(exc: Exception, shown: str) -> SourceError:
    """What a failure of FFmpeg means, in our words; `shown` names the source without its secrets."""
    if isinstance(exc, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return SourceForbidden(f"{shown} does not let us in.", remedy="Check the user and the password.")
    if isinstance(exc, av.error.HTTPNotFoundError):
        return SourceUnavailable(
            f"{shown}: the server has nothing at this path (404).",
            remedy="Check the path, or start its camera.",
        )
    if isinstance(exc, av.error.ExitError):
        return _silent(shown)
    if isinstance(exc, FileNotFoundError):
        return SourceUnavailable(f"{shown} is not there.", remedy="Check the path, or plug it in.")
    if isinstance(exc, av.error.InvalidDataError | ValueError):
        return SourceInvalid(
            f"{shown} is not a video that can be decoded.", remedy="Play it elsewhere first."
        )
    what = getattr(exc, "strerror", None) or str(exc)
    return SourceUnavailable(f"{shown}: {redact(what)}.", remedy="Check that it is on and reachable.")


def _silent(shown: str) -> SourceStalled:
    return SourceStalled(f"{shown} did not answer in time.", remedy="Check that it is on and reachable.")
