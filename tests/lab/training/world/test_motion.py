"""Motions are smooth, keep to their bounds, pause, return and approach; waypoint paths repeat."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lab.training.world.motion import MOTIONS, Motion, Waypoint, WaypointPath, draw_motion

ASPECT = 16 / 9
TIMES_S = np.arange(0, 12, 1 / 30)


def drawn(kind: str, seed: int = 0, size: float = 0.3) -> Motion:
    rng = np.random.default_rng(seed)
    return draw_motion(kind, rng, start=(0.8, 0.5), size=size, aspect=ASPECT, tilt=0.3)


def track(motion: Motion) -> np.ndarray:
    return np.array([(pose.x, pose.y) for pose in map(motion.pose_at, TIMES_S)])


@pytest.mark.parametrize("kind", MOTIONS)
def test_a_motion_starts_at_its_start(kind: str) -> None:
    for seed in range(10):
        pose = drawn(kind, seed).pose_at(0.0)
        assert (pose.x, pose.y) == pytest.approx((0.8, 0.5))
        assert pose.scale == pytest.approx(1.0)


@pytest.mark.parametrize("kind", MOTIONS)
def test_motion_is_continuous(kind: str) -> None:
    for seed in range(10):
        motion = drawn(kind, seed)
        steps = np.hypot(*np.diff(track(motion), axis=0).T)
        assert steps.max() <= 2.0 / 30
        scales = np.array([motion.pose_at(time_s).scale for time_s in TIMES_S])
        assert np.abs(np.diff(scales)).max() < 0.08
        assert scales.max() <= motion.greatest_scale + 1e-9 and scales.min() > 0.2


@pytest.mark.parametrize("kind", [name for name in MOTIONS if name != "leave"])
def test_only_the_kind_leave_leaves_the_image(kind: str) -> None:
    for seed in range(10):
        places = track(drawn(kind, seed))
        assert places.min() >= 0 and (places <= (ASPECT, 1)).all()


def test_the_kind_leave_leaves_the_image_and_returns() -> None:
    gone = returned = 0
    for seed in range(12):
        places = track(drawn("leave", seed))
        outside = ((places < -0.15) | (places > np.array([ASPECT, 1]) + 0.15)).any(axis=1)
        gone += bool(outside.any())
        returned += bool(outside.any() and not outside[np.flatnonzero(outside)[0] :].all())
    assert gone >= 8 and returned >= 6


def test_the_kind_halt_moves_and_pauses_by_turns() -> None:
    steps = np.hypot(*np.diff(track(drawn("halt")), axis=0).T)
    standing = steps < 1e-9
    assert 0.2 < standing.mean() < 0.8
    assert np.abs(np.diff(standing.astype(int))).sum() >= 4


def test_the_kind_static_does_not_move() -> None:
    assert np.ptp(track(drawn("static")), axis=0).max() == 0
    assert drawn("static").pose_at(3.0) == drawn("static").pose_at(7.0)


def test_the_kind_approach_changes_scale() -> None:
    scales = [drawn("approach", seed).pose_at(time_s).scale for seed in range(6) for time_s in TIMES_S[::10]]
    assert max(scales) > 1.4 and min(scales) < 0.7


def test_a_curve_departs_from_a_straight_line() -> None:
    straight = replace(drawn("curve"), sway=0.0)
    assert np.abs(track(drawn("curve")) - track(straight)).max() > 0.05


def test_an_object_faces_its_direction_of_motion() -> None:
    motion = replace(drawn("drift"), velocity=(0.5, 0.0), growth=0.0)
    for time_s in TIMES_S:
        before, after = motion.pose_at(time_s - 0.01).x, motion.pose_at(time_s + 0.01).x
        if abs(after - before) > 0.0099:
            assert motion.pose_at(time_s).faces_left == (after < before)


def test_tilt_is_bounded() -> None:
    for seed in range(20):
        motion = drawn("drift", seed)
        assert max(abs(motion.pose_at(time_s).angle) for time_s in TIMES_S) <= 0.6 + 1e-9 < math.pi


ROUND_TRIP = WaypointPath(
    (
        Waypoint(0, 0.2, 0.5),
        Waypoint(2, 1.2, 0.7),
        Waypoint(3, 1.2, 0.7, faces_left=True),
        Waypoint(4, 0.2, 0.5, faces_left=True),
        Waypoint(5, 0.2, 0.5),
    ),
    rock=0.1,
)


def test_a_waypoint_path_passes_its_waypoints_in_time_and_repeats() -> None:
    for lap in (0, 5, 500):
        for waypoint in ROUND_TRIP.waypoints[:-1]:
            pose = ROUND_TRIP.pose_at(lap + waypoint.at_s)
            assert (pose.x, pose.y, pose.faces_left) == pytest.approx(waypoint[1:])
    assert ROUND_TRIP.pose_at(4.999).x == pytest.approx(ROUND_TRIP.pose_at(5.0).x, abs=1e-2)


def test_speed_is_even_between_waypoints_and_zero_between_equal_ones() -> None:
    assert (ROUND_TRIP.pose_at(0.5).x, ROUND_TRIP.pose_at(0.5).y) == pytest.approx((0.45, 0.55))
    assert ROUND_TRIP.pose_at(2.1) == ROUND_TRIP.pose_at(2.9)
    assert ROUND_TRIP.pose_at(4.1) == ROUND_TRIP.pose_at(4.9)


def test_two_waypoints_at_one_time_are_a_jump() -> None:
    out_and_in = WaypointPath(
        (Waypoint(0, 0.5, 0), Waypoint(1, 2, 0), Waypoint(1, -1, 0), Waypoint(2, 0.5, 0))
    )
    assert out_and_in.pose_at(0.99).x > 1.9 and out_and_in.pose_at(1.0).x == -1


def test_the_angle_of_a_waypoint_path_is_bounded_by_rock() -> None:
    angles = [abs(ROUND_TRIP.pose_at(time_s).angle) for time_s in TIMES_S]
    assert 0.09 < max(angles) <= 0.1
