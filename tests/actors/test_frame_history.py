"""The last second of a stream in a few pictures."""

from __future__ import annotations

import numpy as np
import pytest

from actors.frame_history import BACK_S, CAPACITY, EVERY_S, LATE_S, FrameHistory

NEAREST_S, FURTHEST_S = BACK_S
ROUNDING_S = 1e-6


class Film:
    """A stream that is looked back on; its pictures are told apart by identity."""

    def __init__(self) -> None:
        self.lookback = FrameHistory()
        self.kept_s: dict[int, float] = {}
        self._pictures: list[np.ndarray] = []

    def show(self, pts_s: float) -> None:
        if self.lookback.wants(pts_s):
            picture = np.zeros((1, 1, 3), np.uint8)
            self._pictures.append(picture)  # or its identity would be given to another
            self.kept_s[id(picture)] = pts_s
            self.lookback.keep(picture, pts_s)

    def run(self, fps: float, until_s: float, from_s: float = 0.0) -> None:
        for index in range(int((until_s - from_s) * fps) + 1):
            self.show(from_s + index / fps)

    def ages(self, pts_s: float) -> list[float]:
        return [pts_s - self.kept_s[id(picture)] for picture in self.lookback.before(pts_s)]


@pytest.mark.parametrize("fps", [5, 7.5, 10, 15, 25, 30000 / 1001, 60, 120])
def test_a_look_back_finds_the_picture_nearest_to_each_moment_oldest_first(fps: float) -> None:
    film = Film()
    for index in range(int(5 * fps)):
        if index / fps > 1.3:
            furthest, nearest = film.ages(index / fps)
            assert -EVERY_S / 2 - ROUNDING_S <= nearest - NEAREST_S <= EVERY_S / 2 + 1 / fps
            assert -EVERY_S / 2 - ROUNDING_S <= furthest - FURTHEST_S <= EVERY_S / 2 + 1 / fps
        film.show(index / fps)


def test_two_pictures_a_second_are_enough() -> None:
    film = Film()
    film.run(fps=2, until_s=10)
    assert film.ages(10.5) == pytest.approx([1.0, 0.5])


def test_a_camera_too_slow_for_motion_shows_none() -> None:
    film = Film()
    film.run(fps=1, until_s=10)
    assert film.ages(11) == []


def test_at_a_beginning_there_are_fewer_and_the_nearest_come_first() -> None:
    film, counts = Film(), []
    for index in range(60):
        ages = film.ages(index / 30)
        assert not ages or ages[-1] < NEAREST_S + LATE_S, "what there is ends with the nearest"
        counts.append(len(ages))
        film.show(index / 30)
    assert counts == sorted(counts)
    assert (counts[0], counts[6], counts[8], counts[26]) == (0, 0, 1, 2)


def test_after_an_outage_nothing_from_before_it_is_shown() -> None:
    film = Film()
    film.run(fps=30, until_s=3)
    film.run(fps=30, from_s=20, until_s=21.5)
    assert film.ages(20.0) == []
    assert all(age <= 1.5 for age in film.ages(21.5))


def test_where_time_goes_back_what_came_before_is_dropped() -> None:
    film = Film()
    film.run(fps=30, until_s=3)
    film.show(1.5)
    assert film.ages(1.9) == pytest.approx([0.4]), "not the picture of the first time line"
    assert film.ages(3.0) == []


def test_pictures_of_an_unsteady_stream_are_never_far_from_what_is_looked_for() -> None:
    film, rng, now_s = Film(), np.random.default_rng(3), 0.0
    for _ in range(3_000):
        now_s += float(rng.exponential(0.1))
        ages = film.ages(now_s)
        for age_s, back_s in zip(reversed(ages), BACK_S, strict=False):
            assert back_s - EVERY_S / 2 - ROUNDING_S <= age_s <= back_s + LATE_S + ROUNDING_S
        film.show(now_s)


def test_an_endless_stream_takes_the_room_of_a_second() -> None:
    film = Film()
    film.run(fps=100, until_s=100)
    assert len(film.lookback._kept) == CAPACITY
    assert len(film.kept_s) <= 100 / EVERY_S + 1
