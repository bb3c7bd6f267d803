"""What every source is: a thread that decodes, with a state that people can read."""

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
    """What a source is doing, for people and metrics."""

    stream_id: StreamId
    state: SourceState = SourceState.STARTING
    reason: str = ""
    "Why it is not live, with what to do; credentials are masked. Empty while all is well."
    code: str = ""
    "Machine-readable reason: the `code` of the error; empty while all is well."
    frames: int = 0
    "Pictures decoded since the source started."
    reconnects: int = 0
    "Times it was opened, or published, again after it had been lost."
    corrupt: int = 0
    "Packets that were damaged or could not be decoded."


Deliver = Callable[[Frame], None]
"""Takes a frame. Called on the source's thread; a live source needs one that does not wait."""

Report = Callable[[SourceStatus], None]
"""Takes every change of state. Called on the source's thread; must not wait and must not raise."""


def _nobody(said: object) -> None:
    """Hears nothing."""
    del said


class Source(ABC):
    """One stream's way in. `start` once, `stop` once; `status` at any time, from any thread."""

    def __init__(self, stream_id: StreamId) -> None:
        self._stopping = threading.Event()
        self._status = SourceStatus(stream_id)
        self._deliver: Deliver = _nobody
        self._report: Report = _nobody
        self._thread = threading.Thread(target=self._main, name=f"source-{stream_id}", daemon=True)

    @property
    def status(self) -> SourceStatus:
        """The state and the counters of now."""
        return self._status

    def start(self, deliver: Deliver, report: Report) -> None:
        """Begin on a thread of its own. `report` hears STARTING first, and ENDED or FAILED last."""
        self._deliver, self._report = deliver, report
        self._thread.start()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """End the source and wait for its thread. False if it was still busy after `timeout_s` seconds.

        A busy thread (a connect that hangs) ends by itself when its own time-out passes.
        """
        self._stopping.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @abstractmethod
    def _run(self) -> None:
        """Deliver until the end or until `_stopping` is set. What it raises makes the source FAILED."""

    def _main(self) -> None:
        self._report(self._status)
        try:
            self._run()
        except SaccadeError as exc:
            self._become(SourceState.FAILED, str(exc), exc.code)
        except Exception:
            # The rim of the thread: a bug in one source is this stream's failure and nobody else's.
            log.exception("source %s: unexpected failure", self._status.stream_id)
            self._become(SourceState.FAILED, "Internal error of the source; see the log.", "internal")
        else:
            self._become(SourceState.ENDED)
        # Who hears them holds the source: let go, so that a stream that was removed frees its memory at once.
        self._deliver = self._report = _nobody

    def _become(self, state: SourceState, reason: str = "", code: str = "") -> None:
        """Change the state and report it, if it is a change."""
        changed = (state, reason, code) != (self._status.state, self._status.reason, self._status.code)
        if changed:
            self._status = replace(self._status, state=state, reason=reason, code=code)
            level = logging.INFO if state in (SourceState.LIVE, SourceState.ENDED) else logging.WARNING
            log.log(level, "source %s: %s %s", self._status.stream_id, state, reason)
            self._report(self._status)

    def _count(self, *, reconnects: int = 0, corrupt: int = 0) -> None:
        status = self._status
        self._status = replace(
            status, reconnects=status.reconnects + reconnects, corrupt=status.corrupt + corrupt
        )

    def _skip(self, pictures: int) -> None:
        """Count pictures that were decoded and dropped before they became frames."""
        self._status = replace(self._status, frames=self._status.frames + pictures)

    def _show(self, pixels: Pixels, pts_s: float, captured_s: float, decode_s: float) -> None:
        """Deliver the next picture; the first one after trouble makes the source LIVE."""
        index = self._status.frames
        self._status = replace(self._status, frames=index + 1)
        self._become(SourceState.LIVE)
        stream_id = self._status.stream_id
        self._deliver(Frame(stream_id, index, pixels, pts_s, captured_s, Clock.ARRIVAL, decode_s))
