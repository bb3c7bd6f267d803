"""Paths are smooth, stay where they may, halt, return and come near."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lab.training.world.motion import MOTIONS, Motion, Round, Station, draw_motion

ASPECT = 16 / 9
MOMENTS = np.arange(0, 12, 1 / 30)


def drawn(manner: str, seed: int = 0, size: float = 0.3) -> Motion:
    rng = np.random.default_rng(seed)
    return draw_motion(manner, rng, start=(0.8, 0.5), size=size, aspect=ASPECT, tilt=0.3)


def track(motion: Motion) -> np.ndarray:
    return np.array([(pose.x, pose.y) for pose in map(motion.at, MOMENTS)])


@pytest.mark.parametrize("manner", MOTIONS)
def test_everything_begins_at_its_start(manner: str) -> None:
    for seed in range(10):
        pose = drawn(manner, seed).at(0.0)
        assert (pose.x, pose.y) == pytest.approx((0.8, 0.5))
        assert pose.scale == pytest.approx(1.0)


@pytest.mark.parametrize("manner", MOTIONS)
def test_nothing_leaps(manner: str) -> None:
    for seed in range(10):
        motion = drawn(manner, seed)
        steps = np.hypot(*np.diff(track(motion), axis=0).T)
        assert steps.max() <= 2.0 / 30
        scales = np.array([motion.at(moment).scale for moment in MOMENTS])
        assert np.abs(np.diff(scales)).max() < 0.08
        assert scales.max() <= motion.greatest_scale + 1e-9 and scales.min() > 0.2


@pytest.mark.parametrize("manner", [name for name in MOTIONS if name != "leave"])
def test_who_does_not_leave_stays_in_the_picture(manner: str) -> None:
    for seed in range(10):
        places = track(drawn(manner, seed))
        assert places.min() >= 0 and (places <= (ASPECT, 1)).all()


def test_who_leaves_is_wholly_gone_and_returns() -> None:
    gone = returned = 0
    for seed in range(12):
        places = track(drawn("leave", seed))
        outside = ((places < -0.15) | (places > np.array([ASPECT, 1]) + 0.15)).any(axis=1)
        gone += bool(outside.any())
        returned += bool(outside.any() and not outside[np.flatnonzero(outside)[0] :].all())
    assert gone >= 8 and returned >= 6


def test_who_halts_stands_and_goes_by_turns() -> None:
    steps = np.hypot(*np.diff(track(drawn("halt")), axis=0).T)
    standing = steps < 1e-9
    assert 0.2 < standing.mean() < 0.8
    assert np.abs(np.diff(standing.astype(int))).sum() >= 4


def test_the_still_stand_still() -> None:
    assert np.ptp(track(drawn("still")), axis=0).max() == 0
    assert drawn("still").at(3.0) == drawn("still").at(7.0)


def test_who_approaches_grows_much() -> None:
    scales = [drawn("approach", seed).at(moment).scale for seed in range(6) for moment in MOMENTS[::10]]
    assert max(scales) > 1.4 and min(scales) < 0.7


def test_a_curve_is_no_straight_line() -> None:
    straight = replace(drawn("curve"), sway=0.0)
    assert np.abs(track(drawn("curve")) - track(straight)).max() > 0.05


def test_it_faces_where_it_goes() -> None:
    motion = replace(drawn("drift"), velocity=(0.5, 0.0), growth=0.0)
    for moment in MOMENTS:
        before, after = motion.at(moment - 0.01).x, motion.at(moment + 0.01).x
        if abs(after - before) > 0.0099:
            assert motion.at(moment).goes_left == (after < before)


def test_tilt_is_bounded() -> None:
    for seed in range(20):
        motion = drawn("drift", seed)
        assert max(abs(motion.at(moment).angle) for moment in MOMENTS) <= 0.6 + 1e-9 < math.pi


ROUND = Round(
    (
        Station(0, 0.2, 0.5),
        Station(2, 1.2, 0.7),
        Station(3, 1.2, 0.7, goes_left=True),
        Station(4, 0.2, 0.5, goes_left=True),
        Station(5, 0.2, 0.5),
    ),
    swing=0.1,
)


def test_a_round_comes_by_its_stations_in_time_and_begins_again() -> None:
    for lap in (0, 5, 500):
        for station in ROUND.stations[:-1]:
            pose = ROUND.at(lap + station.at_s)
            assert (pose.x, pose.y, pose.goes_left) == pytest.approx(station[1:])
    assert ROUND.at(4.999).x == pytest.approx(ROUND.at(5.0).x, abs=1e-2)


def test_between_stations_it_goes_at_even_speed_and_rests_where_both_are_one_place() -> None:
    assert (ROUND.at(0.5).x, ROUND.at(0.5).y) == pytest.approx((0.45, 0.55))
    assert ROUND.at(2.1) == ROUND.at(2.9)
    assert ROUND.at(4.1) == ROUND.at(4.9)


def test_two_stations_at_one_time_are_a_jump() -> None:
    out_and_in = Round((Station(0, 0.5, 0), Station(1, 2, 0), Station(1, -1, 0), Station(2, 0.5, 0)))
    assert out_and_in.at(0.99).x > 1.9 and out_and_in.at(1.0).x == -1


def test_who_goes_a_round_leans_only_as_far_as_told() -> None:
    angles = [abs(ROUND.at(moment).angle) for moment in MOMENTS]
    assert 0.09 < max(angles) <= 0.1
