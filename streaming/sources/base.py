"""Base class of sources: a thread that decodes, and a published state."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

from streaming.errors import SaccadeError
from streaming.vocabulary import Clock, Frame, Pixels, SourceState, StreamId

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """State and counters of a source, for users and metrics."""

    stream_id: StreamId
    state: SourceState = SourceState.STARTING
    reason: str = ""
    "Why it is not live, with a remedy; credentials are masked. Empty without an error."
    code: str = ""
    "`code` of the error; empty without an error."
    frames: int = 0
    "Frames decoded since the source started."
    reconnects: int = 0
    "How often it was opened, or published, again after a loss."
    corrupt: int = 0
    "Packets that were damaged or could not be decoded."
    reader: str = ""
    "What reads it: `native` or `ffmpeg`; empty before it is opened, and for WHIP."


Deliver = Callable[[Frame], None]
"""Takes a frame. Called on the source's thread; must not block for a live source."""

Report = Callable[[SourceStatus], None]
"""Takes every change of state. Called on the source's thread; must not block and must not raise."""


def _ignore(value: object) -> None:
    """Drop a frame or a status."""
    del value


class Source(ABC):
    """Yields the frames of a stream. `start` once, `stop` once; `status` at any time, from any thread."""

    def __init__(self, stream_id: StreamId) -> None:
        self._stopping = threading.Event()
        self._status = SourceStatus(stream_id)
        self._deliver: Deliver = _ignore
        self._report: Report = _ignore
        self._first_index = 0
        self._thread = threading.Thread(target=self._main, name=f"source-{stream_id}", daemon=True)

    @property
    def status(self) -> SourceStatus:
        """Current state and counters."""
        return self._status

    def start(self, deliver: Deliver, report: Report, first_index: int = 0) -> None:
        """Start the thread. The first status reported is STARTING, the last is ENDED or FAILED.

        `first_index`: index of the first frame.
        """
        self._deliver, self._report, self._first_index = deliver, report, first_index
        self._thread.start()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """End the source and wait for its thread. False if it still runs after `timeout_s` seconds.

        A thread that hangs in a connect ends when its own timeout passes.
        """
        self._stopping.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @abstractmethod
    def _run(self) -> None:
        """Deliver frames until the end or until `_stopping` is set. An exception makes the source FAILED."""

    def _main(self) -> None:
        self._report(self._status)
        try:
            self._run()
        except SaccadeError as exc:
            self._set_state(SourceState.FAILED, str(exc), exc.code)
        except Exception:
            # Top of the thread: a bug in a source fails its stream and no other.
            log.exception("source %s: unexpected failure", self._status.stream_id)
            self._set_state(SourceState.FAILED, "Internal error of the source; see the log.", "internal")
        else:
            self._set_state(SourceState.ENDED)
        # The callbacks' owner references this source: break the cycle, so that a removed stream is freed at
        # once.
        self._deliver = self._report = _ignore

    def _set_state(self, state: SourceState, reason: str = "", code: str = "") -> None:
        """Set the state; report and log it if it changed."""
        changed = (state, reason, code) != (self._status.state, self._status.reason, self._status.code)
        if changed:
            self._status = replace(self._status, state=state, reason=reason, code=code)
            is_bad = state in (SourceState.RECONNECTING, SourceState.FAILED)
            level = logging.WARNING if is_bad else logging.INFO
            log.log(level, "source %s: %s %s", self._status.stream_id, state, reason)
            self._report(self._status)

    def _count(self, *, reconnects: int = 0, corrupt: int = 0) -> None:
        status = self._status
        self._status = replace(
            status, reconnects=status.reconnects + reconnects, corrupt=status.corrupt + corrupt
        )

    def _count_skipped(self, frames: int) -> None:
        """Count decoded frames that were dropped before delivery."""
        self._status = replace(self._status, frames=self._status.frames + frames)

    def _deliver_frame(
        self, pixels: Pixels, pts_s: float, captured_s: float, decode_s: float, clock: Clock = Clock.ARRIVAL
    ) -> None:
        """Deliver the next frame; the first after an error makes the source LIVE."""
        index = self._status.frames
        self._status = replace(self._status, frames=index + 1)
        self._set_state(SourceState.LIVE)
        stream_id = self._status.stream_id
        self._deliver(Frame(stream_id, self._first_index + index, pixels, pts_s, captured_s, clock, decode_s))
