import threading

import numpy as np

from streaming.errors import SourceInvalid
from streaming.sources.base import Source, SourceStatus
from streaming.vocabulary import Clock, SourceState, StreamId

ID = StreamId("s")
PIXELS = np.zeros((2, 2, 3), np.uint8)


class Counting(Source):
    """Shows `count` pictures and then does `finally_do`."""

    def __init__(self, count=3, finally_do=lambda source: None):
        super().__init__(ID)
        self.count, self.finally_do = count, finally_do

    def _run(self):
        for number in range(self.count):
            self._deliver_frame(PIXELS, number / 10, 100.0 + number, 0.001)
        self.finally_do(self)


def run(source, seen):
    source.start(seen.deliver, seen.report)
    seen.wait(lambda s: s.states[-1:] in ([SourceState.ENDED], [SourceState.FAILED]))


def test_frames_are_numbered_from_zero_and_keep_their_dates(seen):
    run(Counting(), seen)
    assert [(f.stream_id, f.index, f.pts_s, f.captured_s, f.clock) for f in seen.frames] == [
        (ID, number, number / 10, 100.0 + number, Clock.ARRIVAL) for number in range(3)
    ]


def test_it_starts_lives_and_ends(seen):
    run(Counting(), seen)
    assert seen.states == [SourceState.STARTING, SourceState.LIVE, SourceState.ENDED]
    assert seen.statuses[-1].frames == 3


def test_an_error_of_ours_becomes_the_reason(seen):
    def fail(source):
        raise SourceInvalid("Broken.", remedy="Mend it.")

    run(Counting(1, fail), seen)
    assert seen.statuses[-1] == SourceStatus(
        ID, SourceState.FAILED, "Broken. Mend it.", "source_invalid", frames=1
    )


def test_a_bug_is_this_stream_s_failure_only_and_is_logged(seen, caplog):
    run(Counting(1, lambda source: 1 / 0), seen)
    assert seen.statuses[-1].code == "internal"
    assert "ZeroDivisionError" in caplog.text


def test_a_state_is_reported_once(seen):
    def twice(source):
        source._set_state(SourceState.RECONNECTING, "away", "source_unavailable")
        source._set_state(SourceState.RECONNECTING, "away", "source_unavailable")
        source._deliver_frame(PIXELS, 1.0, 1.0, 0.0)

    run(Counting(1, twice), seen)
    assert seen.states == [
        SourceState.STARTING,
        SourceState.LIVE,
        SourceState.RECONNECTING,
        SourceState.LIVE,
        SourceState.ENDED,
    ]


def test_skipped_frames_count_as_decoded(seen):
    def skip(source):
        source._count_skipped(4)
        source._deliver_frame(PIXELS, 1.0, 1.0, 0.0)

    run(Counting(2, skip), seen)
    assert [frame.index for frame in seen.frames] == [0, 1, 6]


def test_stop_waits_for_the_thread_and_says_whether_it_ended(seen):
    release = threading.Event()
    source = Counting(1, lambda source: (source._stopping.wait(), release.wait()))
    source.start(seen.deliver, seen.report)
    seen.wait(lambda s: s.frames)
    assert not source.stop(timeout_s=0.01)
    release.set()
    assert source.stop()
    assert source.stop(), "twice is fine"


def test_a_source_that_was_never_started_can_be_stopped():
    assert Counting().stop()


def test_a_source_can_be_stopped_from_its_own_thread(seen):
    source = Counting(1, lambda source: source.stop())
    run(source, seen)
    assert seen.states[-1] is SourceState.ENDED
