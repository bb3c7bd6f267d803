"""The reconnect loop, on files instead of cameras: they open at once and end."""

import itertools

import pytest

from streaming.errors import RefusedAddress, SourceForbidden, SourceUnavailable
from streaming.sources import live
from streaming.sources.clip import open_clip
from streaming.sources.live import LiveSource, SourceLimits
from streaming.vocabulary import SourceState, StreamId
from tests.servers import FRAMES, index_of

ID = StreamId("s")


@pytest.fixture
def waits(monkeypatch):
    """The waits that a source asked for, in order; it does not wait them."""
    asked = []

    class Noting(live.random.Random):
        def random(self):
            return 0.0

    monkeypatch.setattr(live.random, "Random", Noting)
    return asked


class OpenOptions(LiveSource):
    """Opens what the script says, one entry per attempt; its waits are noted and not waited."""

    def __init__(self, script, waits):
        super().__init__(ID, self._next, SourceLimits(1.0, 1.0))
        self._script, self._waits = iter(script), waits
        stopping_wait = self._stopping.wait

        def wait(timeout=None):
            self._waits.append(timeout)
            return stopping_wait(0)

        self._stopping.wait = wait

    def _next(self):
        step = next(self._script, None)
        if step is None:
            self._stopping.set()
            raise SourceUnavailable("over")
        if isinstance(step, Exception):
            raise step
        return open_clip(str(step))


def run(script, waits, seen):
    source = OpenOptions(script, waits)
    source.start(seen.deliver, seen.report)
    seen.wait(lambda s: s.states[-1:] in ([SourceState.ENDED], [SourceState.FAILED]))
    return source


def test_it_is_opened_again_and_again_with_growing_waits(waits, seen):
    run([SourceUnavailable("away")] * 5, waits, seen)
    assert waits == [0.25, 0.5, 1.0, 1.0, 1.0]


def test_a_source_that_refuses_us_is_asked_less_and_less(waits, seen):
    run([SourceForbidden("no")] * 6, waits, seen)
    assert waits == [1, 2, 4, 8, 16, 30]


def test_indices_and_time_grow_over_sessions(waits, clip, seen):
    source = run([clip, SourceUnavailable("away"), clip], waits, seen)
    frames = seen.frames
    assert [frame.index for frame in frames] == list(range(2 * FRAMES))
    assert [index_of(frame.pixels) for frame in frames] == list(range(FRAMES)) * 2
    assert all(a.pts_s < b.pts_s for a, b in itertools.pairwise(frames))
    assert source.status.reconnects == 1


def test_the_reason_of_every_error_is_reported(waits, clip, seen):
    run([SourceUnavailable("first"), clip, SourceForbidden("second")], waits, seen)
    reasons = [status.reason for status in seen.statuses if status.state is SourceState.RECONNECTING]
    assert reasons == ["first", "The source ended its stream. It is opened again.", "second"]


def test_a_request_that_is_wrong_fails_at_once(waits, seen):
    run([RefusedAddress("inside")], waits, seen)
    assert (seen.states[-1], seen.statuses[-1].code) == (SourceState.FAILED, "refused_address")
    assert waits == []


def test_a_name_that_moved_while_it_ran_is_retried(waits, clip, seen):
    run([clip, RefusedAddress("inside for now"), clip], waits, seen)
    assert SourceState.FAILED not in seen.states
    assert len(seen.frames) == 2 * FRAMES
