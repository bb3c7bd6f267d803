"""One hosted stream whose tracker hangs. Tracking and recovery: test_worker.py."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from actors.actor_health import Action, ActorHealth, MonitorTimes
from actors.hosted_stream import HostedStream
from actors.metrics import WorkerMetrics
from actors.redis_server import RedisServer
from actors.session import StreamSession
from actors.snapshot_store import SnapshotStore
from actors.snapshot_writer import SnapshotWriter
from streaming.results.writer import ResultWriter
from streaming.sources.base import Source
from streaming.vocabulary import Answer, Frame, Keyframe, Query, QueryId, StreamId, StreamSpec, Track
from streaming.webrtc.whep import WhepViewers
from tests.doubles import ColourGrounder, ColourTracker, frame_of, square_image

S = StreamId("hosted")


class OneFrame(Source):
    """A source that delivers one frame and ends."""

    def _run(self) -> None:
        self._deliver(frame_of(square_image((20, 20)), 0, S))


class BlockingTracker(ColourTracker):
    """A tracker whose step returns when the test sets `released`."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.released_step = threading.Event()

    def step(self, frame: Frame, answers: Sequence[Answer] = ()) -> list[Track]:
        self.begun.set()
        self.released_step.wait()
        return super().step(frame, answers)


@pytest.fixture
def writer(redis_server: RedisServer) -> Iterator[ResultWriter]:
    opened = ResultWriter(redis_server.url, frames_maxlen=100, notes_maxlen=100)
    yield opened
    opened.close()


@pytest.fixture
def tracker() -> Iterator[BlockingTracker]:
    made = BlockingTracker()
    yield made
    made.released_step.set()


@pytest.fixture
def stream(writer: ResultWriter, tracker: BlockingTracker, tmp_path: Path) -> HostedStream:
    session = StreamSession(S, tracker, lambda keyframe: None)
    spec = StreamSpec(S, "whip:")
    snapshots = SnapshotWriter(SnapshotStore(tmp_path))
    hosted = HostedStream(spec, OneFrame(S), session, writer, WorkerMetrics(), WhepViewers([]), snapshots)
    hosted.start()
    assert tracker.begun.wait(5)
    return hosted


def test_a_running_step_is_timed_before_and_after_the_first_completed_step(
    stream: HostedStream, tracker: BlockingTracker
) -> None:
    time.sleep(0.01)
    timing = stream.step_timing()
    assert timing.running_s >= 0.01 and timing.expected_s is None
    tracker.released_step.set()
    deadline_s = time.monotonic() + 5
    while stream.step_timing().expected_s is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert stream.step_timing().running_s == 0.0
    stream.stop(5.0)


class Frames(Source):
    """A source that delivers frames until it is stopped."""

    def _run(self) -> None:
        for index in itertools.count():
            if self._stopping.wait(0.01):
                return
            self._deliver(frame_of(square_image((20, 20)), index, S))


class SlowWithAnswers(BlockingTracker):
    """A tracker whose steps with answers return when the test sets `released_step`."""

    def step(self, frame: Frame, answers: Sequence[Answer] = ()) -> list[Track]:
        return super().step(frame, answers) if answers else ColourTracker.step(self, frame, answers)


def test_the_first_step_with_an_answer_may_take_far_longer_than_idle_steps(
    writer: ResultWriter, tmp_path: Path
) -> None:
    """Idle steps take milliseconds; the first with an answer takes 10 to 20 s with SAM-2 on two CPU cores."""
    tracker, grounder, asked = SlowWithAnswers(), ColourGrounder(), queue.Queue[Keyframe]()
    session = StreamSession(S, tracker, asked.put)
    snapshots = SnapshotWriter(SnapshotStore(tmp_path))
    hosted = HostedStream(
        StreamSpec(S, "whip:"), Frames(S), session, writer, WorkerMetrics(), WhepViewers([]), snapshots
    )
    hosted.start()
    while hosted.step_timing().expected_s is None:
        time.sleep(0.01)
    session.set_queries([Query(QueryId("q"), S, "the red square")])
    session.submit_answers(grounder.ground(asked.get(timeout=5)))
    assert tracker.begun.wait(5)
    timing = replace(hosted.step_timing(), running_s=20.0)
    assert ActorHealth(MonitorTimes(), 0.0).on_heartbeat(1, {S: timing}, 1.0) is Action.NOTHING
    tracker.released_step.set()
    deadline_s = time.monotonic() + 5
    while hosted.step_timing().expected_s is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    hosted.stop(5.0)


def test_stopping_a_stream_whose_tracker_hangs_returns_and_publishes_nothing_later(
    stream: HostedStream, tracker: BlockingTracker
) -> None:
    began_s = time.monotonic()
    stream.stop(0.1)
    assert time.monotonic() - began_s < 2.0
    tracker.released_step.set()
    stream._thread.join(5)
    assert stream.status(0.0).frames == 0
