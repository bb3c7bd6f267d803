"""One hosted stream: a source thread that decodes, a tracking thread that tracks and publishes.

The source puts frames into a one-place slot; the tracking thread takes the newest, tracks it and publishes
the result. A step of the tracking thread is what it does with one frame: track, publish, commit memory.
"""

from __future__ import annotations

import logging
import threading
import time

from actors.heartbeat import StepClock, StepTiming
from actors.metrics import WorkerMetrics
from actors.rates import RateWindow
from actors.resumption import Resumption
from actors.session import StepReport, StreamSession, live_tracks
from actors.snapshot_writer import SnapshotWriter
from engines.backends.lazy_compilation import compilations_begun
from streaming.errors import SaccadeError, TracksLost
from streaming.events import ErrorReport, error_report
from streaming.latest import Latest
from streaming.results.writer import ResultWriter
from streaming.sources.base import Source, SourceStatus
from streaming.status import StreamStatus
from streaming.url_guard import redact
from streaming.vocabulary import Frame, FrameResult, SourceState, StreamSpec
from streaming.webrtc.whep import WhepViewers

log = logging.getLogger(__name__)

_TAKE_S = 0.5
"Longest wait of the tracking thread for a frame: how soon it notices that it should end."
_AFTER_FAILURE_S = 1.0
"Pause after the tracker failed on a frame, before its queries are asked again."


class HostedStream:
    """A source, a session, and the thread that runs the session on the source's frames."""

    def __init__(
        self,
        spec: StreamSpec,
        source: Source,
        session: StreamSession,
        writer: ResultWriter,
        metrics: WorkerMetrics,
        viewers: WhepViewers,
        snapshots: SnapshotWriter,
    ) -> None:
        self.spec = spec
        self.source = source
        self.session = session
        self.viewers = viewers
        self._writer = writer
        self._snapshots = snapshots
        self._next_snapshot_s = 0.0
        self._resumption = Resumption(epoch=0)
        self._tracks_lost = ""
        self._metrics = metrics
        self._slot: Latest[Frame] = Latest()
        self._ending = threading.Lock()
        self._rate_window = RateWindow()
        self._step_clock = StepClock(compilations_begun)
        self._frames = 0
        self._size: tuple[int, int] | None = None
        self._is_abandoned = False
        "The tracking thread hung when the stream was removed: a result it still makes is not published."
        self._thread = threading.Thread(target=self._run, name=f"track-{spec.stream_id}", daemon=True)

    def resume(self, resumption: Resumption) -> None:
        """Go on with a stream that was hosted before. Called before `start`."""
        self._resumption = resumption
        try:
            self.session.resume(resumption)
        except TracksLost as exc:
            self._tracks_lost = exc.message
            log.warning("Stream %s: %s", self.spec.stream_id, exc)
            self._writer.publish_note(error_report(self.spec.stream_id, exc, time.time()))

    def start(self) -> None:
        """Start both threads; return at once."""
        self._thread.start()
        self.source.start(self._slot.put, self._source_changed, self._resumption.first_index)

    def stop(self, timeout_s: float) -> None:
        """End both threads; return when they have ended, or after about `timeout_s`.

        A source that hangs in a connect ends by itself later. A tracking thread that hangs cannot be ended:
        it is left behind as a daemon thread, with its memory, until the process ends.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._ending:  # no acknowledgement after this creates metrics of a stream that was removed
            self._slot.close()
        self.source.stop(timeout_s)
        self._thread.join(max(_TAKE_S, deadline_s - time.monotonic()))
        if self._thread.is_alive():
            self._is_abandoned = True
            log.error("Stream %s: its tracking thread hangs and is left behind.", self.spec.stream_id)
        self._metrics.forget(self.spec.stream_id)
        self._writer.forget(self.spec.stream_id)

    def put_last_snapshot(self) -> None:
        """Have the state stored with which `stop` has left the stream; nothing if its thread hangs."""
        if not self._is_abandoned:
            self._put_snapshot()

    def step_timing(self) -> StepTiming:
        """Return how long the present step has been running, and its expected duration."""
        return self._step_clock.timing(time.monotonic(), self.session.planned_objects)

    def status(self, now_s: float) -> StreamStatus:
        """Return the stream's state, rates and queries; `now_s` is of the monotonic clock."""
        source, rates = self.source.status, self._rate_window.rates(now_s)
        self._record_source(source)
        return StreamStatus(
            stream_id=self.spec.stream_id,
            url=redact(self.spec.url),
            state=source.state,
            reason=source.reason,
            width=self._size[1] if self._size else None,
            height=self._size[0] if self._size else None,
            tracked_fps=rates.tracked_fps,
            frame_age_p50_s=rates.frame_age_p50_s,
            frame_age_p95_s=rates.frame_age_p95_s,
            frames=self._frames,
            dropped=self._slot.dropped_total,
            reconnects=source.reconnects,
            reader=source.reader,
            queries=self.session.query_statuses(),
            epoch=self._resumption.epoch,
            tracks_lost=self._tracks_lost,
        )

    def _run(self) -> None:
        while not self._slot.closed:
            taken = self._slot.take(_TAKE_S)
            if taken is None:
                continue
            frame, dropped = taken
            try:
                self._step(frame, dropped)
            except Exception as exc:  # last resort: a stream outlives its tracker's failures
                self._recover(exc)

    def _step(self, frame: Frame, dropped: int) -> None:
        self._step_clock.begin(time.monotonic())
        try:
            report = self.session.step(frame, dropped)
            if not self._is_abandoned:
                self._publish(frame, report)
                self.session.commit_memory()
                self._put_snapshot_if_due(time.monotonic())
        except Exception:
            self._step_clock.abort()
            raise
        tracked = len(live_tracks(report.result.tracks))
        self._step_clock.complete(time.monotonic(), self.session.planned_objects, tracked)

    def _put_snapshot_if_due(self, now_s: float) -> None:
        if now_s >= self._next_snapshot_s:
            self._next_snapshot_s = now_s + self._snapshots.interval_s(self.spec.stream_id)
            self._put_snapshot()

    def _put_snapshot(self) -> None:
        snapshot = self.session.snapshot()
        if snapshot is not None:
            self._snapshots.put(snapshot)

    def _publish(self, frame: Frame, report: StepReport) -> None:
        result = report.result
        self._writer.publish(result, self._acknowledged)
        for event in report.events:
            self._writer.publish_note(event)
        for answer in report.answers:
            self._writer.publish_note(answer)
        self.viewers.push(frame)
        self._frames += 1
        self._size = frame.size
        self._rate_window.add_tracked(time.monotonic())
        self._metrics.frame(result)
        for seconds in report.prompt_to_mask_s:
            self._metrics.prompt_to_mask(result.stream_id, seconds)

    def _acknowledged(self, result: FrameResult) -> None:
        """Measure the frame age of a result that Redis holds. Called on the writer's thread."""
        with self._ending:
            if not self._slot.closed:
                self._rate_window.add_published(time.monotonic(), result.latency_s.total)
                self._metrics.published(result)

    def _recover(self, exc: Exception) -> None:
        """Publish that tracking failed and reset the session, as often as it takes."""
        log.error("Stream %s: tracking failed and is reset.", self.spec.stream_id, exc_info=exc)
        error = exc if isinstance(exc, SaccadeError) else SaccadeError("Tracking failed; see the log.")
        self._writer.publish_note(error_report(self.spec.stream_id, error, time.time()))
        time.sleep(_AFTER_FAILURE_S)
        while not self._slot.closed and not self._reset():
            time.sleep(_AFTER_FAILURE_S)

    def _reset(self) -> bool:
        self._step_clock.begin_reset(time.monotonic())
        try:
            self.session.reset()
        except Exception as exc:  # last resort: memory may be short for a while
            log.error("Stream %s: the tracker cannot be reset.", self.spec.stream_id, exc_info=exc)
            return False
        finally:
            self._step_clock.abort()
        return True

    def _source_changed(self, status: SourceStatus) -> None:
        if self._slot.closed:  # a source that outlived its stream in a connect that hung
            return
        self._record_source(status)
        if status.code:
            self._writer.publish_note(
                ErrorReport(status.stream_id, status.code, status.reason, "", time.time())
            )

    def _record_source(self, status: SourceStatus) -> None:
        self._metrics.source(
            self.spec.stream_id,
            up=status.state is SourceState.LIVE,
            reconnects=status.reconnects,
            reader=status.reader,
            results_lost=self._writer.lost(self.spec.stream_id),
        )
