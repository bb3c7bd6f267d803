"""A camera applies the effects that it is given, and no others."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from lab.training.world.camera import CAMERA_EFFECTS, CLEAN, Camera, Image, draw_camera

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def image() -> Image:
    ramp = np.linspace(20, 200, 64, dtype=np.uint8)
    edges = np.where(np.arange(64) % 16 < 8, 40, 0).astype(np.uint8)
    return np.repeat((ramp[:, None] + edges[None])[..., None], 3, axis=2)


def degraded(camera: Camera, image: Image, time_s: float = 0.5) -> np.ndarray:
    return camera.degrade(image, time_s, np.random.default_rng(0)).astype(float)


def test_a_clean_camera_changes_nothing(image: Image) -> None:
    assert np.array_equal(CLEAN.degrade(image, 1.0, RNG), image)
    assert CLEAN.zoom_and_shift(1.0) == (1.0, 0.0, 0.0)
    assert not CLEAN.is_moving


def test_gain_and_flicker_change_brightness(image: Image) -> None:
    assert degraded(Camera(gain=0.5), image).mean() == pytest.approx(image.mean() / 2, abs=1)
    flickering = Camera(flicker=0.2)
    means = [degraded(flickering, image, time_s).mean() for time_s in np.arange(0, 3, 0.1)]
    assert 20 < max(means) - min(means) < 80


def test_blur_and_low_resolution_remove_detail(image: Image) -> None:
    for camera in (Camera(blur_sigma_px=1.0), Camera(resolution=0.5)):
        degraded_image = degraded(camera, image)
        assert degraded_image.shape == image.shape
        assert (
            np.abs(np.diff(degraded_image, axis=1)).max() < np.abs(np.diff(image.astype(float), axis=1)).max()
        )
        assert degraded_image.mean() == pytest.approx(image.mean(), abs=2)


def test_noise_and_compression_add_small_errors(image: Image) -> None:
    for camera in (Camera(noise=3), Camera(jpeg_quality=30)):
        error = np.abs(degraded(camera, image) - image)
        assert 0.5 < error.mean() < 12


def test_the_camera_has_not_moved_at_time_0() -> None:
    for seed in range(20):
        assert draw_camera(CAMERA_EFFECTS, np.random.default_rng(seed)).zoom_and_shift(0.0) == (1.0, 0.0, 0.0)


def test_a_moving_camera_moves_smoothly() -> None:
    camera = Camera(pan=(0.15, 0.05), zoom=0.2, shake=0.008)
    views = np.array([camera.zoom_and_shift(time_s) for time_s in np.arange(0, 6, 1 / 30)])
    assert camera.is_moving
    assert np.ptp(views, axis=0).min() > 0.05
    assert np.abs(np.diff(views, axis=0)).max() < 0.03


@pytest.mark.parametrize("effect", CAMERA_EFFECTS)
def test_an_effect_sets_always_the_same_fields(effect: str) -> None:
    idle = Camera(rate_rad_s=0)
    changed = [
        {field.name for field in fields(Camera) if getattr(camera, field.name) != getattr(idle, field.name)}
        - {"rate_rad_s"}
        for camera in (draw_camera((effect,), np.random.default_rng(seed)) for seed in range(20))
    ]
    assert len({frozenset(one) for one in changed if one}) == 1
