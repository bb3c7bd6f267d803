"""The worker actor: hosts streams, each with its own threads (`hosted_stream.py`). Ray is applied in
supervisor.py.

A frame never leaves the process; only keyframes do. What is hosted comes in versions (`desired_state.py`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from prometheus_client import Metric
from pydantic import SecretStr

from actors.desired_state import Delta, HostedState
from actors.grounder import Grounded
from actors.heartbeat import Heartbeat
from actors.hosted_stream import HostedStream
from actors.keyframe_queue import split_keyframe
from actors.metrics import WorkerMetrics
from actors.partial_answers import OnPartial, PartialAnswer
from actors.repeat_filter import RepeatFilter
from actors.resumption import Resumption
from actors.resumption_reader import ResumptionReader
from actors.session import StreamSession
from actors.snapshot_store import SnapshotStore, snapshot_folder
from actors.snapshot_writer import SnapshotWriter
from engines.protocols import Tracker
from streaming.errors import (
    Conflict,
    NotFound,
    SaccadeError,
    ServiceUnavailable,
    UsageError,
)
from streaming.events import PartialAnswerReport, error_report
from streaming.results.writer import ResultWriter
from streaming.settings import Settings
from streaming.sources.base import STOP_TIMEOUT_S
from streaming.sources.factory import open_source
from streaming.status import StreamStatus, WebRtcSession
from streaming.url_guard import SourcePolicy, redact
from streaming.vocabulary import Keyframe, SourceState, StreamId, StreamSpec
from streaming.webrtc.whep import WhepViewers
from streaming.webrtc.whip import WhipSource

log = logging.getLogger(__name__)

MakeTracker = Callable[[], Tracker]
Ground = Callable[[Keyframe, OnPartial], Awaitable[Grounded]]

_CLOSE_TIMEOUT_S = 2.0
"""For the streams to end with the worker; results that wait are written after that, within the supervisor's
limit."""
_FLUSH_TIMEOUT_S = 0.5
"For waiting results to be written before a worker with a hung tracking thread is killed."
_SNAPSHOT_TIMEOUT_S = 1.0
"For the last snapshots to be stored when the worker ends."
_REOPEN_S = 1.0
"Between attempts to open streams that could not be opened, for instance because a file was missing."


class Worker:
    """Hosts the streams of its `HostedState`. Must be created and used in one event loop."""

    def __init__(
        self,
        settings: Settings,
        redis_url: SecretStr,
        make_tracker: Callable[[], MakeTracker],
        ground: Ground,
    ) -> None:
        """`make_tracker` loads the weights, once; the function it returns makes a tracker for each stream."""
        self._settings = settings
        self._policy = SourcePolicy.from_settings(settings)
        self._make_tracker = make_tracker()
        self._ground = ground
        self._writer = ResultWriter(
            redis_url, frames_maxlen=settings.results_maxlen, notes_maxlen=settings.events_maxlen
        )
        store = SnapshotStore(snapshot_folder(settings))
        self._snapshots = SnapshotWriter(store)
        self._resuming = ResumptionReader(store, redis_url)
        self._metrics = WorkerMetrics()
        self._state = HostedState()
        self._hosted: dict[StreamId, HostedStream] = {}
        self._refused: dict[StreamId, StreamStatus] = {}
        "Streams that cannot be opened at present: the policy refuses them, or a file is missing."
        self._changing = asyncio.Lock()
        self._reopening: asyncio.Task[None] | None = None
        self._questions: set[asyncio.Task[None]] = set()
        self._repeat_filter = RepeatFilter()

    async def heartbeat(self) -> Heartbeat:
        """Return the process id, the version hosted, and how every stream is doing."""
        now_s = time.monotonic()
        hosted = tuple(stream.status(now_s) for stream in self._hosted.values())
        steps = {stream_id: stream.step_timing() for stream_id, stream in self._hosted.items()}
        return Heartbeat(os.getpid(), self._state.version, (*hosted, *self._refused.values()), steps)

    async def apply(self, delta: Delta) -> Heartbeat:
        """Start, change and stop streams until the delta's version is hosted; return a heartbeat after that.

        A delta that does not start at the version hosted is ignored; the heartbeat's version says so. If
        applying fails, the version is 0 afterwards, so that the whole state repeats it. The caller may give
        up waiting: the change is completed all the same.
        """
        async with self._changing:
            if self._state.fits(delta):
                wanted, self._state = self._state.applied(delta), HostedState()
                await self._host(wanted)
                self._state = wanted
        return await self.heartbeat()

    async def report_hung_steps(self, hung_s: Mapping[StreamId, float]) -> None:
        """Publish an error for each stream whose tracking thread hangs, and write what waits.

        The worker is killed after this: nothing can be published any more.
        """
        for stream_id, running_s in hung_s.items():
            error = ServiceUnavailable(
                f"Tracking hangs: one step has been running for {running_s:.1f} s.",
                remedy="The worker is restarted and the stream resumes.",
            )
            self._writer.publish_note(error_report(stream_id, error, time.time()))
        await asyncio.to_thread(self._writer.close, _FLUSH_TIMEOUT_S)

    async def whip_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
        """Accept a publisher of a `whip:` stream. Raises NotFound, Conflict, InvalidStream."""
        return WebRtcSession(*await self._whip_source(stream_id).offer(sdp))

    async def whip_end(self, stream_id: StreamId, session_id: str) -> None:
        """End a publisher's session. Raises NotFound."""
        await self._whip_source(stream_id).end(session_id)

    async def whep_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
        """Accept a viewer. Raises NotFound, InvalidStream, LimitReached."""
        return WebRtcSession(*await self._stream(stream_id).viewers.offer(sdp))

    async def whep_end(self, stream_id: StreamId, session_id: str) -> None:
        """End a viewer's session. Raises NotFound."""
        await self._stream(stream_id).viewers.end(session_id)

    async def metrics(self) -> list[Metric]:
        """Return the metrics of this process."""
        return self._metrics.collect()

    async def close(self) -> None:
        """Stop every stream and write the results that wait."""
        if self._reopening is not None:
            self._reopening.cancel()
        async with self._changing:
            await self._stop(list(self._hosted.values()), _CLOSE_TIMEOUT_S)
            for stream in self._hosted.values():
                stream.put_last_snapshot()
        await asyncio.to_thread(self._snapshots.close, _SNAPSHOT_TIMEOUT_S)
        await asyncio.to_thread(self._writer.close)
        await self._resuming.close()

    async def _host(self, wanted: HostedState) -> None:
        surplus = [
            stream
            for stream in self._hosted.values()
            if wanted.streams.get(stream.spec.stream_id) != stream.spec
        ]
        for stream in surplus:
            del self._hosted[stream.spec.stream_id]
        # Queries first: an edit does not wait for the sources of other streams to end.
        self._set_queries(wanted)
        await self._stop(surplus, STOP_TIMEOUT_S)
        for stream in surplus:  # its next worker writes from now on, or it is removed
            await asyncio.to_thread(self._snapshots.forget, stream.spec.stream_id)
        self._refused = {key: status for key, status in self._refused.items() if key in wanted.streams}
        await self._try_to_open([spec for key, spec in wanted.streams.items() if key not in self._hosted])
        self._set_queries(wanted)
        if self._refused and (self._reopening is None or self._reopening.done()):
            self._reopening = asyncio.create_task(self._reopen())

    def _set_queries(self, wanted: HostedState) -> None:
        for stream_id, stream in self._hosted.items():
            stream.session.set_queries(wanted.queries_of(stream_id))

    async def _stop(self, streams: list[HostedStream], timeout_s: float) -> None:
        """Stop streams concurrently: one that hangs delays no other."""
        await asyncio.gather(*(_stop(stream, timeout_s) for stream in streams))

    async def _reopen(self) -> None:
        """Try to open refused streams until none is left."""
        while self._refused:
            await asyncio.sleep(_REOPEN_S)
            try:
                async with self._changing:
                    refused = self._state.streams.keys() & self._refused.keys()
                    await self._try_to_open([self._state.streams[stream_id] for stream_id in refused])
                    for stream_id in refused & self._hosted.keys():
                        self._hosted[stream_id].session.set_queries(self._state.queries_of(stream_id))
            except Exception as exc:  # last resort: memory may be short for a while
                log.error("Refused streams could not be opened; tried again.", exc_info=exc)

    async def _try_to_open(self, specs: Sequence[StreamSpec]) -> None:
        """Host streams, or record why one cannot be opened: the others are hosted all the same."""
        resumptions = await asyncio.gather(*(self._resuming.of(spec.stream_id) for spec in specs))
        for spec, resuming in zip(specs, resumptions, strict=True):
            try:
                self._hosted[spec.stream_id] = await self._open(spec, resuming)
            except UsageError as exc:
                self._refused[spec.stream_id] = StreamStatus(
                    spec.stream_id, redact(spec.url), SourceState.FAILED, str(exc)
                )
            else:
                self._refused.pop(spec.stream_id, None)

    async def _open(self, spec: StreamSpec, resuming: Resumption) -> HostedStream:
        source = open_source(spec, self._policy, self._settings)
        loop = asyncio.get_running_loop()

        def ask(keyframe: Keyframe) -> None:
            loop.call_soon_threadsafe(self._start_asking, keyframe)

        session = StreamSession(spec.stream_id, await asyncio.to_thread(self._make_tracker), ask)
        viewers = WhepViewers(self._settings)
        stream = HostedStream(spec, source, session, self._writer, self._metrics, viewers, self._snapshots)
        await asyncio.to_thread(stream.resume, resuming)
        stream.start()
        return stream

    def _start_asking(self, keyframe: Keyframe) -> None:
        for part in split_keyframe(keyframe):
            question = asyncio.create_task(self._ask(part))
            self._questions.add(question)
            question.add_done_callback(self._questions.discard)

    async def _ask(self, keyframe: Keyframe) -> None:
        """Send a keyframe to the grounder and its answers to the session, if the stream is still hosted."""
        try:
            grounded = await self._ground(keyframe, lambda partial: self._publish_partial(keyframe, partial))
        except Exception as exc:  # a dead grounder, a failing model: this question is lost, the stream is not
            self._report_failure(keyframe.frame.stream_id, exc)
            grounded = Grounded(superseded=tuple(query.query_id for query in keyframe.queries))
        stream = self._hosted.get(keyframe.frame.stream_id)
        if stream is not None:
            stream.session.submit_answers(grounded.answers)
            lost = [query for query in keyframe.queries if query.query_id in grounded.superseded]
            stream.session.submit_failures(lost, keyframe.asked_s)

    def _publish_partial(self, keyframe: Keyframe, partial: PartialAnswer) -> None:
        stream_id, index = keyframe.frame.stream_id, keyframe.frame.index
        if stream_id in self._hosted:
            report = PartialAnswerReport(
                stream_id, partial.query_id, partial.revision, index, partial.text, time.time()
            )
            self._writer.publish_note(report)

    def _report_failure(self, stream_id: StreamId, exc: Exception) -> None:
        """Publish that a question is lost, unless the same was published a moment ago: it is asked again."""
        error = exc if isinstance(exc, SaccadeError) else SaccadeError("Grounding failed; see the log.")
        if stream_id in self._hosted and self._repeat_filter.is_new(
            (stream_id, str(error)), time.monotonic()
        ):
            log.warning("Grounding for %s failed: %s: %s", stream_id, type(exc).__name__, error)
            self._writer.publish_note(error_report(stream_id, error, time.time()))

    def _stream(self, stream_id: StreamId) -> HostedStream:
        try:
            return self._hosted[stream_id]
        except KeyError:
            raise NotFound(f"There is no stream {stream_id} in this worker.") from None

    def _whip_source(self, stream_id: StreamId) -> WhipSource:
        source = self._stream(stream_id).source
        if not isinstance(source, WhipSource):
            raise Conflict(
                f"Stream {stream_id} is not published to: it has a source of its own.",
                remedy="Add a stream with the URL `whip:`.",
            )
        return source


async def _stop(stream: HostedStream, timeout_s: float) -> None:
    await stream.viewers.close()
    await asyncio.to_thread(stream.stop, timeout_s)
