"""A process that hosts streams: source in, tracker in the middle, Redis out. Ray is applied in supervisor.py.

Each stream has two threads: its source decodes into the one-place slot, its line takes the newest frame from
there, tracks it and publishes the result. A frame never leaves the process; only keyframes do.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prometheus_client import Metric
from pydantic import SecretStr

from actors.grounder import Grounded
from actors.keyframe_queue import apart
from actors.metrics import WorkerMetrics
from actors.partial_answers import OnPartial, PartialAnswer
from actors.rates import RateWindow
from actors.repeat_filter import RepeatFilter
from actors.session import StepReport, StreamSession
from engines.protocols import Tracker
from streaming.errors import Conflict, NotFound, SaccadeError, UsageError
from streaming.events import ErrorReport, PartialAnswerReport, error_report
from streaming.latest import Latest
from streaming.results.writer import ResultWriter
from streaming.settings import Settings
from streaming.sources.base import STOP_TIMEOUT_S, Source, SourceStatus
from streaming.sources.factory import open_source
from streaming.status import StreamStatus, WebRtcSession
from streaming.url_guard import SourcePolicy, redact
from streaming.vocabulary import Frame, FrameResult, Keyframe, Query, SourceState, StreamId, StreamSpec
from streaming.webrtc.whep import WhepViewers
from streaming.webrtc.whip import WhipSource

log = logging.getLogger(__name__)

MakeTracker = Callable[[], Tracker]
Ground = Callable[[Keyframe, OnPartial], Awaitable[Grounded]]

_TAKE_S = 0.5
"Longest wait of a line for a frame: how soon it notices that it should end."
_AFTER_FAILURE_S = 1.0
"Pause after a tracker failed on a frame; its stream lives on and is asked about again."
_CLOSE_TIMEOUT_S = 2.0
"For a source to end with the worker: waiting results are written after it, within the supervisor's patience."


@dataclass(frozen=True, slots=True)
class Desired:
    """What a worker shall host."""

    streams: tuple[StreamSpec, ...]
    queries: tuple[Query, ...]


class HostedStream:
    """One stream in this process: its two threads and all they share."""

    def __init__(
        self,
        spec: StreamSpec,
        source: Source,
        session: StreamSession,
        writer: ResultWriter,
        metrics: WorkerMetrics,
        viewers: WhepViewers,
    ) -> None:
        self.spec = spec
        self.source = source
        self.session = session
        self.viewers = viewers
        self._writer = writer
        self._metrics = metrics
        self._slot: Latest[Frame] = Latest()
        self._ending = threading.Lock()
        self._recent = RateWindow()
        self._frames = 0
        self._size: tuple[int, int] | None = None
        self._line = threading.Thread(target=self._run, name=f"line-{spec.stream_id}", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._line.start()
        self.source.start(self._slot.put, self._source_changed)

    def stop(self, timeout_s: float) -> None:
        """End both threads; a source that hangs in a connect is left to end by itself after `timeout_s`."""
        with self._ending:  # no acknowledgement after this makes series of a stream that was forgotten
            self._slot.close()
        self.source.stop(timeout_s)
        self._line.join()
        self._metrics.forget(self.spec.stream_id)
        self._writer.forget(self.spec.stream_id)

    def status(self, now_s: float) -> StreamStatus:
        """How the stream does."""
        source, rates = self.source.status, self._recent.rates(now_s)
        self._note_source(source)
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
            queries=self.session.query_statuses(),
        )

    def _run(self) -> None:
        while not self._slot.closed:
            taken = self._slot.take(_TAKE_S)
            if taken is None:
                continue
            frame, dropped = taken
            try:
                self._publish(frame, self.session.step(frame, dropped))
                self.session.commit_memory()
            except Exception as exc:  # the rim of the thread: a stream outlives its tracker's failures
                self._recover(exc)

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
        self._metrics.frame(result)
        for seconds in report.prompt_to_mask_s:
            self._metrics.prompt_to_mask(result.stream_id, seconds)

    def _acknowledged(self, result: FrameResult) -> None:
        """Measure the frame age of a result that Redis holds. Called on the writer's thread."""
        with self._ending:
            if not self._slot.closed:
                self._recent.add(result.published_s, result.latency_s.total)
                self._metrics.published(result)

    def _recover(self, exc: Exception) -> None:
        log.error("Stream %s: tracking failed, starting afresh.", self.spec.stream_id, exc_info=exc)
        error = exc if isinstance(exc, SaccadeError) else SaccadeError("Tracking failed; see the log.")
        self._writer.publish_note(error_report(self.spec.stream_id, error, time.time()))
        time.sleep(_AFTER_FAILURE_S)
        while not self._slot.closed and not self._began_again():
            time.sleep(_AFTER_FAILURE_S)

    def _began_again(self) -> bool:
        try:
            self.session.reset()
        except Exception as exc:  # still the rim of the thread: memory may be short for a while
            log.error("Stream %s: the tracker cannot begin again.", self.spec.stream_id, exc_info=exc)
            return False
        return True

    def _source_changed(self, status: SourceStatus) -> None:
        if self._slot.closed:  # it outlived the stream in a connect that hung: nobody asks any more
            return
        self._note_source(status)
        if status.code:
            self._writer.publish_note(_trouble(status))

    def _note_source(self, status: SourceStatus) -> None:
        self._metrics.source(
            self.spec.stream_id,
            up=status.state is SourceState.LIVE,
            reconnects=status.reconnects,
            results_lost=self._writer.lost(self.spec.stream_id),
        )


class Worker:
    """Hosts the streams it is told to. Must be made and used in one event loop."""

    def __init__(
        self,
        settings: Settings,
        redis_url: SecretStr,
        make_tracker: Callable[[], MakeTracker],
        ground: Ground,
    ) -> None:
        """`make_tracker` loads the weights, once; what it returns makes a tracker for each stream."""
        self._settings = settings
        self._policy = SourcePolicy.from_settings(settings)
        self._make_tracker = make_tracker()
        self._ground = ground
        self._writer = ResultWriter(
            redis_url, frames_maxlen=settings.results_maxlen, notes_maxlen=settings.events_maxlen
        )
        self._metrics = WorkerMetrics()
        self._hosted: dict[StreamId, HostedStream] = {}
        self._refused: dict[StreamId, StreamStatus] = {}
        "Streams that cannot be opened as they are: a policy that changed, a file that is gone."
        self._changing = asyncio.Lock()
        self._questions: set[asyncio.Task[None]] = set()
        self._repeats = RepeatFilter()

    async def host(self, desired: Desired) -> None:
        """Start, change and stop streams until exactly these are hosted. Cancel-safe: call it again."""
        async with self._changing:
            wanted = {spec.stream_id: spec for spec in desired.streams}
            unwanted = [
                hosted for hosted in self._hosted.values() if wanted.get(hosted.spec.stream_id) != hosted.spec
            ]
            await self._let_go(unwanted, STOP_TIMEOUT_S)
            self._refused = {key: why for key, why in self._refused.items() if key in wanted}
            for stream_id, spec in wanted.items():
                if stream_id not in self._hosted:
                    await self._try_to_open(spec)
            for stream_id, hosted in self._hosted.items():
                hosted.session.set_queries([q for q in desired.queries if q.stream_id == stream_id])

    async def statuses(self) -> list[StreamStatus]:
        """How every hosted stream does."""
        now_s = time.time()
        return [*(hosted.status(now_s) for hosted in self._hosted.values()), *self._refused.values()]

    async def whip_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
        """A peer publishes to a `whip:` stream. Raises NotFound, Conflict, InvalidStream."""
        return WebRtcSession(*await self._ingest(stream_id).offer(sdp))

    async def whip_end(self, stream_id: StreamId, session_id: str) -> None:
        """The publisher leaves. Raises NotFound."""
        await self._ingest(stream_id).end(session_id)

    async def whep_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
        """A peer watches. Raises NotFound, InvalidStream, LimitReached."""
        return WebRtcSession(*await self._stream(stream_id).viewers.offer(sdp))

    async def whep_end(self, stream_id: StreamId, session_id: str) -> None:
        """The viewer leaves. Raises NotFound."""
        await self._stream(stream_id).viewers.end(session_id)

    async def metrics(self) -> list[Metric]:
        """Samples of this process."""
        return self._metrics.collect()

    async def pid(self) -> int:
        """The process id: proof of life."""
        return os.getpid()

    async def close(self) -> None:
        """Stop every stream and write what is still to be written."""
        async with self._changing:
            await self._let_go(list(self._hosted.values()), _CLOSE_TIMEOUT_S)
        await asyncio.to_thread(self._writer.close)

    async def _let_go(self, unwanted: list[HostedStream], timeout_s: float) -> None:
        """Stop streams side by side: one that hangs costs the others nothing."""
        for hosted in unwanted:
            del self._hosted[hosted.spec.stream_id]
        await asyncio.gather(*(_end(hosted, timeout_s) for hosted in unwanted))

    async def _try_to_open(self, spec: StreamSpec) -> None:
        """Host a stream, or keep why it cannot be: its neighbours are hosted all the same."""
        try:
            self._hosted[spec.stream_id] = await self._open(spec)
        except UsageError as exc:
            self._refused[spec.stream_id] = StreamStatus(
                spec.stream_id, redact(spec.url), SourceState.FAILED, str(exc)
            )
        else:
            self._refused.pop(spec.stream_id, None)

    async def _open(self, spec: StreamSpec) -> HostedStream:
        source = open_source(spec, self._policy, self._settings)
        loop = asyncio.get_running_loop()

        def ask(keyframe: Keyframe) -> None:
            loop.call_soon_threadsafe(self._start_asking, keyframe)

        session = StreamSession(spec.stream_id, await asyncio.to_thread(self._make_tracker), ask)
        viewers = WhepViewers(self._settings.ice_addresses)
        hosted = HostedStream(spec, source, session, self._writer, self._metrics, viewers)
        hosted.start()
        return hosted

    def _start_asking(self, keyframe: Keyframe) -> None:
        for part in apart(keyframe):
            question = asyncio.create_task(self._answer(part))
            self._questions.add(question)
            question.add_done_callback(self._questions.discard)

    async def _answer(self, keyframe: Keyframe) -> None:
        """Take a keyframe to the grounder and its answers to the session, if the stream is still there."""
        try:
            grounded = await self._ground(keyframe, lambda said: self._overhear(keyframe, said))
        except Exception as exc:  # a dead grounder, a failing model: this question is lost, the stream is not
            self._tell_failure(keyframe.frame.stream_id, exc)
            grounded = Grounded(superseded=tuple(query.query_id for query in keyframe.queries))
        hosted = self._hosted.get(keyframe.frame.stream_id)
        if hosted is not None:
            hosted.session.submit_answers(grounded.answers)
            lost = [query for query in keyframe.queries if query.query_id in grounded.superseded]
            hosted.session.submit_failures(lost, keyframe.asked_s)

    def _overhear(self, keyframe: Keyframe, said: PartialAnswer) -> None:
        """Publish an answer that is still being said."""
        stream_id, index = keyframe.frame.stream_id, keyframe.frame.index
        if stream_id in self._hosted:
            words = PartialAnswerReport(stream_id, said.query_id, said.revision, index, said.text, time.time())
            self._writer.publish_note(words)

    def _tell_failure(self, stream_id: StreamId, exc: Exception) -> None:
        """Publish that a question is lost, unless the same was said a moment ago: it is asked again soon."""
        now_s = time.time()
        error = exc if isinstance(exc, SaccadeError) else SaccadeError("Grounding failed; see the log.")
        if stream_id in self._hosted and self._repeats.is_news((stream_id, str(error)), now_s):
            log.warning("Grounding for %s failed: %s: %s", stream_id, type(exc).__name__, error)
            self._writer.publish_note(error_report(stream_id, error, now_s))

    def _stream(self, stream_id: StreamId) -> HostedStream:
        try:
            return self._hosted[stream_id]
        except KeyError:
            raise NotFound(f"There is no stream {stream_id} in this worker.") from None

    def _ingest(self, stream_id: StreamId) -> WhipSource:
        source = self._stream(stream_id).source
        if not isinstance(source, WhipSource):
            raise Conflict(
                f"Stream {stream_id} is not published to: it has a source of its own.",
                remedy="Add a stream with the URL `whip:`.",
            )
        return source


async def _end(hosted: HostedStream, timeout_s: float) -> None:
    await hosted.viewers.close()
    await asyncio.to_thread(hosted.stop, timeout_s)


def _trouble(status: SourceStatus) -> ErrorReport:
    return ErrorReport(status.stream_id, status.code, status.reason, "", time.time())
