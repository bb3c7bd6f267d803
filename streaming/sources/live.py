"""Base class of reconnecting sources: open, read, detect a stall, back off, open again, without end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol

from streaming.backoff import FORBIDDEN_BACKOFF, UNAVAILABLE_BACKOFF, next_attempt
from streaming.errors import (
    SaccadeError,
    SourceError,
    SourceForbidden,
    SourceInvalid,
    SourceStalled,
    SourceUnavailable,
    SourceUnreadable,
    UsageError,
)
from streaming.sources.base import Source
from streaming.sources.decoder import DecodedFrame
from streaming.sources.timeline import Timeline
from streaming.validation import DEFAULT_MAX_PIXELS
from streaming.vocabulary import SourceState, StreamId


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """Timeouts of a live source, seconds, and the largest picture."""

    first_frame_s: float = 5.0
    "From opening to the first frame."
    stall_s: float = 3.0
    "Between two frames, without anything else either."
    max_pixels: int = DEFAULT_MAX_PIXELS
    "Of a picture; larger ones are not decoded."


KEY_FRAME_WAIT_S = 120.0
"""Longest wait for a picture while packets arrive. Smart codecs send an IDR frame every 10 to 60 s."""
RARE_FACTOR = 2.5
"""Pictures that are rare are awaited for this many of their intervals."""


class Reader(Protocol):
    """An opened source. One thread uses it."""

    name: str
    "`native` or `ffmpeg`."
    skipped: int
    "Pictures so far that were not decoded since the decoder is slower than the source."

    @property
    def last_received_s(self) -> float:
        """Monotonic time of the last sign of life: packets, with or without a picture."""
        ...

    @property
    def corrupt(self) -> int:
        """Packets or frames so far that were damaged or could not be decoded."""
        ...

    def frames(self) -> Iterator[DecodedFrame | None]:
        """Yield every frame until the source ends; None at least every `POLL_S` without a frame.

        Raises SourceError when it cannot be read further.
        """
        ...

    def close(self) -> None:
        """Close the source. May be called twice."""
        ...


class LiveSource(Source):
    """A source that is opened by `open_reader`, and again whenever it is lost.

    `open_reader` raises SourceError (always retried) or UsageError: fatal before the first frame, since the
    request itself is wrong; retried after it, since only the address of a host name has changed.
    """

    def __init__(self, stream_id: StreamId, open_reader: Callable[[], Reader], limits: SourceLimits) -> None:
        super().__init__(stream_id)
        self._open_reader = open_reader
        self._limits = limits
        self._timeline = Timeline()
        self._first_frame_s: float | None = None
        self._interval_s = 0.0  # the longest between two pictures lately

    def _session_failed(self, error: SaccadeError, healthy_s: float) -> SaccadeError:  # noqa: ARG002
        """Take in why a session ended that delivered frames for `healthy_s`; return what to report."""
        return error

    def _run(self) -> None:
        attempt = -1
        # For jitter; not security-relevant.
        rng = random.Random()  # noqa: S311
        while not self._stopping.is_set():
            self._first_frame_s = None
            error = self._read_until_lost()
            if self._stopping.is_set():
                return
            healthy_s = 0.0 if self._first_frame_s is None else time.monotonic() - self._first_frame_s
            error = self._session_failed(error, healthy_s)
            attempt = next_attempt(attempt, healthy_s)
            self._set_state(SourceState.RECONNECTING, str(error), error.code)
            refused = isinstance(error, SourceForbidden | SourceInvalid | UsageError)
            self._stopping.wait((FORBIDDEN_BACKOFF if refused else UNAVAILABLE_BACKOFF).delay_s(attempt, rng))

    def _read_until_lost(self) -> SaccadeError:
        """Deliver frames until the source is lost; return the reason."""
        try:
            with closing(self._open_reader()) as reader:
                self._status = replace(self._status, reader=reader.name)
                self._timeline.restart()
                self._read(reader)
        except SourceError as exc:
            return exc
        except UsageError as exc:
            if self.status.frames == 0:
                raise
            return exc
        return SourceUnavailable("The source ended its stream.", remedy="It is opened again.")

    def _read(self, reader: Reader) -> None:
        corrupt = skipped = 0
        last_s = time.monotonic()
        for frame in reader.frames():
            if self._stopping.is_set():
                return
            self._count(corrupt=reader.corrupt - corrupt)
            self._count_skipped(reader.skipped - skipped)
            corrupt, skipped = reader.corrupt, reader.skipped
            now_s = time.monotonic()
            if frame is None:
                self._check_stall(now_s - last_s, now_s - reader.last_received_s)
                continue
            if self._first_frame_s is not None:
                self._interval_s = max(now_s - last_s, 0.9 * self._interval_s)
            last_s = now_s
            if self._first_frame_s is None:
                self._first_frame_s = now_s
                self._count(reconnects=int(self.status.frames > 0))
            pts_s = self._timeline.at(frame.raw_pts_s, now_s)
            self._deliver_frame(frame.pixels, pts_s, frame.arrived_s, frame.decode_s, frame.clock)

    def _check_stall(self, without_frame_s: float, silent_s: float) -> None:
        """Without a picture for too long: wait on while there are signs of life, else raise SourceError."""
        is_first = self._first_frame_s is None
        limit_s = self._limits.first_frame_s if is_first else self._limits.stall_s
        limit_s = max(limit_s, min(RARE_FACTOR * self._interval_s, KEY_FRAME_WAIT_S))
        if without_frame_s < limit_s:
            return
        if silent_s >= limit_s:
            what = "Connected, but no picture came within" if is_first else "No picture for"
            raise SourceStalled(f"{what} {limit_s:g} s.", remedy="It is opened again.")
        if without_frame_s >= KEY_FRAME_WAIT_S:
            raise SourceUnreadable(
                f"Packets arrive, but no picture for {KEY_FRAME_WAIT_S:g} s.", remedy="It is opened again."
            )
        what = "Packets arrive; waiting for a key frame." if is_first else "It answers, but sends no picture."
        self._set_state(SourceState.WAITING, what)
