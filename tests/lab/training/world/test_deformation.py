"""Deformation is smooth, does not fold or move the object, and its hull and area are those of its pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lab.training.world.deformation import RIGID, Deformation, Wave, deform, draw_deformation
from lab.training.world.parts import disc, fill, rectangle
from lab.training.world.sprites import SPRITE_EXTENT, Sprite, draw_sprite
from lab.training.world.textures import plain

SIDE = 130
UNIT_PX = SIDE / (2 * SPRITE_EXTENT)
SEEDS = range(30)


def ball(radius: float = 0.6) -> Sprite:
    rng = np.random.default_rng(0)
    rgb = (200.0, 30.0, 30.0)
    return draw_sprite([fill(disc((0, 0), radius))], rgb, plain(rgb, SIDE, rng), rng)


def soft(seed: int) -> Deformation:
    return draw_deformation(np.random.default_rng(seed))


def test_a_rigid_sprite_is_unchanged() -> None:
    sprite = ball()
    assert deform(sprite, RIGID, 1.0) is sprite
    assert not RIGID.displacements(1.0).any()


def test_the_silhouette_changes_over_time() -> None:
    changed = [
        np.mean(deform(ball(), soft(seed), 0.0).alpha != deform(ball(), soft(seed), 0.4).alpha)
        for seed in SEEDS
    ]
    assert np.mean(changed) > 0.02
    assert np.ptp(changed) > 0.02, "strengths differ"


def test_displacements_change_smoothly() -> None:
    for seed in SEEDS:
        displacements = [soft(seed).displacements(index / 30) for index in range(20)]
        assert np.abs(np.diff(displacements, axis=0)).max() < 0.12
        assert np.abs(displacements).max() < 2 * 0.3


def test_it_neither_folds_nor_moves_the_object() -> None:
    """The map to the drawing is monotonic: a point further right samples further right."""
    for seed in SEEDS:
        displacements = soft(seed).displacements(0.7)
        step = 2 * SPRITE_EXTENT / len(displacements)
        across = np.diff(displacements[..., 0], axis=1) / step
        down = np.diff(displacements[..., 1], axis=0) / step
        assert across.min() > -0.9 and down.min() > -0.9
        np.testing.assert_allclose(displacements.mean(axis=(0, 1)), 0, atol=1e-5)


def test_a_wave_displaces_by_its_amplitude() -> None:
    """Half a wavelength across the drawing: one side moves up while the other moves down."""
    wave = Deformation((Wave(vector=(1.2, 0.0), amplitude=(0.0, 0.2), rate_rad_s=1.0, phase=0.0),))
    beam = draw_sprite(
        [fill(rectangle((-1.0, -0.1), (1.0, 0.1)))],
        (200.0, 30.0, 30.0),
        plain((200.0, 30.0, 30.0), SIDE, np.random.default_rng(0)),
        np.random.default_rng(0),
    )
    rows, columns = np.nonzero(deform(beam, wave, 0.0).alpha > 127)
    left, right = rows[columns < SIDE // 4].mean(), rows[columns > 3 * SIDE // 4].mean()
    assert (left - right) / UNIT_PX == pytest.approx(0.2 * 2 * np.sin(1.2 * 0.8), abs=0.06)


def test_hull_and_area_are_those_of_the_deformed_silhouette() -> None:
    for seed in SEEDS:
        deformed = deform(ball(), soft(seed), 0.3)
        assert deformed.area == pytest.approx(deformed.alpha.sum(dtype=np.int64) / 255 / UNIT_PX**2)
        pixels = ((deformed.hull + SPRITE_EXTENT) * UNIT_PX - 0.5).round().astype(np.int32)
        around = cv2.fillConvexPoly(np.zeros((SIDE, SIDE), dtype=np.uint8), pixels, 1)
        assert not ((deformed.alpha > 127) & (around == 0)).any()
        rows, columns = np.nonzero(deformed.alpha > 127)
        np.testing.assert_allclose(pixels.min(axis=0), (columns.min(), rows.min()), atol=1)
        np.testing.assert_allclose(pixels.max(axis=0), (columns.max(), rows.max()), atol=1)
