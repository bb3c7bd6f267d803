"""What every live source does: open, watch, notice silence, wait, open again, for ever."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from streaming.backoff import FORBIDDEN_BACKOFF, UNAVAILABLE_BACKOFF, next_attempt
from streaming.errors import (
    SaccadeError,
    SourceError,
    SourceForbidden,
    SourceInvalid,
    SourceStalled,
    SourceUnavailable,
    UsageError,
)
from streaming.sources.base import Source
from streaming.sources.decoder import DecodedFrame
from streaming.sources.timeline import Timeline
from streaming.vocabulary import SourceState, StreamId


@dataclass(frozen=True, slots=True)
class SourceTimeouts:
    """How long a live source is waited for, seconds."""

    first_frame_s: float = 5.0
    "From opening it to the first picture."
    stall_s: float = 3.0
    "From one picture to the next."


class Reader(Protocol):
    """An opened source. One thread reads it."""

    @property
    def corrupt(self) -> int:
        """Packets or pictures so far that were damaged or could not be decoded."""
        ...

    def frames(self) -> Iterator[DecodedFrame | None]:
        """Every picture until the source ends; None now and then, at the latest after `POLL_S` without one.

        Raises SourceError when it cannot be read on.
        """
        ...

    def close(self) -> None:
        """Close the source. May be called twice."""
        ...


class LiveSource(Source):
    """A source that is opened by `open_reader` and opened again whenever it is lost.

    `open_reader` raises SourceError (retried for ever) or UsageError: final before the first picture, because
    then the request itself was wrong; retried later, because then only a name has moved.
    """

    def __init__(
        self, stream_id: StreamId, open_reader: Callable[[], Reader], timeouts: SourceTimeouts
    ) -> None:
        super().__init__(stream_id)
        self._open_reader = open_reader
        self._timeouts = timeouts
        self._timeline = Timeline()
        self._first_shown_s: float | None = None

    def _run(self) -> None:
        attempt = -1
        # Jitter keeps cameras apart; nothing secret hangs on it.
        rng = random.Random()  # noqa: S311
        while not self._stopping.is_set():
            self._first_shown_s = None
            trouble = self._session()
            if self._stopping.is_set():
                return
            healthy_s = 0.0 if self._first_shown_s is None else time.monotonic() - self._first_shown_s
            attempt = next_attempt(attempt, healthy_s)
            self._become(SourceState.RECONNECTING, str(trouble), trouble.code)
            gentle = isinstance(trouble, SourceForbidden | SourceInvalid | UsageError)
            self._stopping.wait((FORBIDDEN_BACKOFF if gentle else UNAVAILABLE_BACKOFF).delay_s(attempt, rng))

    def _session(self) -> SaccadeError:
        """Show pictures until the source is lost; why it was."""
        try:
            with closing(self._open_reader()) as reader:
                self._timeline.restart()
                self._watch(reader)
        except SourceError as exc:
            return exc
        except UsageError as exc:
            if self.status.frames == 0:
                raise
            return exc
        return SourceUnavailable("The source ended its stream.", remedy="It is opened again.")

    def _watch(self, reader: Reader) -> None:
        corrupt = 0
        last_s = time.monotonic()
        for picture in reader.frames():
            if self._stopping.is_set():
                return
            self._count(corrupt=reader.corrupt - corrupt)
            corrupt = reader.corrupt
            now_s = time.monotonic()
            if picture is None:
                self._check_silence(now_s - last_s)
                continue
            last_s = now_s
            if self._first_shown_s is None:
                self._first_shown_s = now_s
                self._count(reconnects=int(self.status.frames > 0))
            pts_s = self._timeline.at(picture.raw_pts_s, now_s)
            self._show(picture.pixels, pts_s, picture.arrived_s, picture.decode_s)

    def _check_silence(self, silent_s: float) -> None:
        if self._first_shown_s is None and silent_s >= self._timeouts.first_frame_s:
            raise SourceStalled(
                f"Connected, but no picture came within {self._timeouts.first_frame_s:g} s.",
                remedy="If its key frames are far apart, raise source_connect_timeout_s.",
            )
        if self._first_shown_s is not None and silent_s >= self._timeouts.stall_s:
            raise SourceStalled(f"No picture for {self._timeouts.stall_s:g} s.", remedy="It is opened again.")
