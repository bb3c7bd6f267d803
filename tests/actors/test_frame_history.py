"""Which frames of the last second a stream stores."""

from __future__ import annotations

import numpy as np
import pytest

from actors.frame_history import BACK_S, CAPACITY, EVERY_S, LATE_S, FrameHistory

NEAREST_S, FURTHEST_S = BACK_S
ROUNDING_S = 1e-6


class Stream:
    """A stream with a history; its frames are identified by `id`."""

    def __init__(self) -> None:
        self.history = FrameHistory()
        self.times_s: dict[int, float] = {}
        self._frames: list[np.ndarray] = []

    def push(self, pts_s: float) -> None:
        if self.history.is_due(pts_s):
            frame = np.zeros((1, 1, 3), np.uint8)
            self._frames.append(frame)  # else its id may be reused
            self.times_s[id(frame)] = pts_s
            self.history.add(frame, pts_s)

    def run(self, fps: float, until_s: float, from_s: float = 0.0) -> None:
        for index in range(int((until_s - from_s) * fps) + 1):
            self.push(from_s + index / fps)

    def ages(self, pts_s: float) -> list[float]:
        return [pts_s - self.times_s[id(frame)] for frame in self.history.before(pts_s)]


@pytest.mark.parametrize("fps", [5, 7.5, 10, 15, 25, 30000 / 1001, 60, 120])
def test_the_frames_nearest_to_each_time_are_returned_oldest_first(fps: float) -> None:
    stream = Stream()
    for index in range(int(5 * fps)):
        if index / fps > 1.3:
            furthest, nearest = stream.ages(index / fps)
            assert -EVERY_S / 2 - ROUNDING_S <= nearest - NEAREST_S <= EVERY_S / 2 + 1 / fps
            assert -EVERY_S / 2 - ROUNDING_S <= furthest - FURTHEST_S <= EVERY_S / 2 + 1 / fps
        stream.push(index / fps)


def test_two_frames_a_second_are_enough() -> None:
    stream = Stream()
    stream.run(fps=2, until_s=10)
    assert stream.ages(10.5) == pytest.approx([1.0, 0.5])


def test_a_camera_of_one_frame_a_second_has_no_earlier_frames() -> None:
    stream = Stream()
    stream.run(fps=1, until_s=10)
    assert stream.ages(11) == []


def test_a_new_stream_has_fewer_frames_and_the_nearest_come_first() -> None:
    stream, counts = Stream(), []
    for index in range(60):
        ages = stream.ages(index / 30)
        assert not ages or ages[-1] < NEAREST_S + LATE_S, "the newest returned is the nearest"
        counts.append(len(ages))
        stream.push(index / 30)
    assert counts == sorted(counts)
    assert (counts[0], counts[6], counts[8], counts[26]) == (0, 0, 1, 2)


def test_after_an_outage_frames_from_before_it_are_left_out() -> None:
    stream = Stream()
    stream.run(fps=30, until_s=3)
    stream.run(fps=30, from_s=20, until_s=21.5)
    assert stream.ages(20.0) == []
    assert all(age <= 1.5 for age in stream.ages(21.5))


def test_when_time_goes_back_stored_frames_are_dropped() -> None:
    stream = Stream()
    stream.run(fps=30, until_s=3)
    stream.push(1.5)
    assert stream.ages(1.9) == pytest.approx([0.4]), "not the frame of the first time line"
    assert stream.ages(3.0) == []


def test_frames_of_an_irregular_stream_are_within_the_tolerance() -> None:
    stream, rng, now_s = Stream(), np.random.default_rng(3), 0.0
    for _ in range(3_000):
        now_s += float(rng.exponential(0.1))
        ages = stream.ages(now_s)
        for age_s, back_s in zip(reversed(ages), BACK_S, strict=False):
            assert back_s - EVERY_S / 2 - ROUNDING_S <= age_s <= back_s + LATE_S + ROUNDING_S
        stream.push(now_s)


def test_an_endless_stream_stores_a_constant_number_of_frames() -> None:
    stream = Stream()
    stream.run(fps=100, until_s=100)
    assert len(stream.history._frames) == CAPACITY
    assert len(stream.times_s) <= 100 / EVERY_S + 1
