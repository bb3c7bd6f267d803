"""A soft thing changes its shape smoothly, and its hull and its area are those of what is seen."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lab.training.world.deformation import STIFF, Bend, Wave, bent, draw_bend
from lab.training.world.parts import disc, fill, slab
from lab.training.world.sprites import REACH, Sprite, draw_sprite
from lab.training.world.textures import plain

SIDE = 130
UNIT_PX = SIDE / (2 * REACH)
SEEDS = range(30)


def ball(radius: float = 0.6) -> Sprite:
    rng = np.random.default_rng(0)
    rgb = (200.0, 30.0, 30.0)
    return draw_sprite([fill(disc((0, 0), radius))], rgb, plain(rgb, SIDE, rng), rng)


def soft(seed: int) -> Bend:
    return draw_bend(np.random.default_rng(seed))


def test_what_is_stiff_is_left_as_it_is() -> None:
    sprite = ball()
    assert bent(sprite, STIFF, 1.0) is sprite
    assert not STIFF.shifts(1.0).any()


def test_a_bent_thing_is_of_another_shape_at_every_moment() -> None:
    changed = [
        np.mean(bent(ball(), soft(seed), 0.0).cover != bent(ball(), soft(seed), 0.4).cover) for seed in SEEDS
    ]
    assert np.mean(changed) > 0.02
    assert np.ptp(changed) > 0.02, "some are softer than others"


def test_it_changes_smoothly() -> None:
    for seed in SEEDS:
        moments = [soft(seed).shifts(index / 30) for index in range(20)]
        assert np.abs(np.diff(moments, axis=0)).max() < 0.12
        assert np.abs(moments).max() < 2 * 0.3


def test_it_neither_folds_nor_drifts() -> None:
    """A point further right stays further right: the map from what is seen to the drawing keeps its sense."""
    for seed in SEEDS:
        shifts = soft(seed).shifts(0.7)
        step = 2 * REACH / len(shifts)
        across = np.diff(shifts[..., 0], axis=1) / step
        down = np.diff(shifts[..., 1], axis=0) / step
        assert across.min() > -0.9 and down.min() > -0.9
        np.testing.assert_allclose(shifts.mean(axis=(0, 1)), 0, atol=1e-5)


def test_a_wave_moves_what_it_passes() -> None:
    """Half a wave across the drawing: one side goes up while the other goes down."""
    sway = Bend((Wave(vector=(1.2, 0.0), sway=(0.0, 0.2), rate=1.0, phase=0.0),))
    beam = draw_sprite(
        [fill(slab((-1.0, -0.1), (1.0, 0.1)))],
        (200.0, 30.0, 30.0),
        plain((200.0, 30.0, 30.0), SIDE, np.random.default_rng(0)),
        np.random.default_rng(0),
    )
    rows, columns = np.nonzero(bent(beam, sway, 0.0).cover > 127)
    left, right = rows[columns < SIDE // 4].mean(), rows[columns > 3 * SIDE // 4].mean()
    assert (left - right) / UNIT_PX == pytest.approx(0.2 * 2 * np.sin(1.2 * 0.8), abs=0.06)


def test_hull_and_area_are_those_of_what_is_seen() -> None:
    for seed in SEEDS:
        seen = bent(ball(), soft(seed), 0.3)
        assert seen.area == pytest.approx(seen.cover.sum(dtype=np.int64) / 255 / UNIT_PX**2)
        pixels = ((seen.hull + REACH) * UNIT_PX - 0.5).round().astype(np.int32)
        around = cv2.fillConvexPoly(np.zeros((SIDE, SIDE), dtype=np.uint8), pixels, 1)
        assert not ((seen.cover > 127) & (around == 0)).any()
        rows, columns = np.nonzero(seen.cover > 127)
        np.testing.assert_allclose(pixels.min(axis=0), (columns.min(), rows.min()), atol=1)
        np.testing.assert_allclose(pixels.max(axis=0), (columns.max(), rows.max()), atol=1)
