"""What a camera does to a clean picture, and what it leaves alone."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from lab.training.world.camera import CLEAN, SPOILAGE, Camera, Picture, draw_camera

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def picture() -> Picture:
    ramp = np.linspace(20, 200, 64, dtype=np.uint8)
    edges = np.where(np.arange(64) % 16 < 8, 40, 0).astype(np.uint8)
    return np.repeat((ramp[:, None] + edges[None])[..., None], 3, axis=2)


def developed(camera: Camera, picture: Picture, moment: float = 0.5) -> np.ndarray:
    return camera.develop(picture, moment, np.random.default_rng(0)).astype(float)


def test_a_clean_camera_changes_nothing(picture: Picture) -> None:
    assert np.array_equal(CLEAN.develop(picture, 1.0, RNG), picture)
    assert CLEAN.view(1.0) == (1.0, 0.0, 0.0)
    assert not CLEAN.moves


def test_light(picture: Picture) -> None:
    assert developed(Camera(gain=0.5), picture).mean() == pytest.approx(picture.mean() / 2, abs=1)
    flickering = Camera(flicker=0.2)
    means = [developed(flickering, picture, moment).mean() for moment in np.arange(0, 3, 0.1)]
    assert 20 < max(means) - min(means) < 80


def test_blur_and_shrinking_take_detail_away(picture: Picture) -> None:
    for camera in (Camera(blur=1.0), Camera(shrink=0.5)):
        spoilt = developed(camera, picture)
        assert spoilt.shape == picture.shape
        assert np.abs(np.diff(spoilt, axis=1)).max() < np.abs(np.diff(picture.astype(float), axis=1)).max()
        assert spoilt.mean() == pytest.approx(picture.mean(), abs=2)


def test_noise_and_compression_add_errors_but_little(picture: Picture) -> None:
    for camera in (Camera(noise=3), Camera(jpeg=30)):
        error = np.abs(developed(camera, picture) - picture)
        assert 0.5 < error.mean() < 12


def test_nothing_has_moved_at_the_first_moment() -> None:
    for seed in range(20):
        assert draw_camera(SPOILAGE, np.random.default_rng(seed)).view(0.0) == (1.0, 0.0, 0.0)


def test_a_moving_camera_moves_smoothly() -> None:
    camera = Camera(pan=(0.15, 0.05), zoom=0.2, shake=0.008)
    views = np.array([camera.view(moment) for moment in np.arange(0, 6, 1 / 30)])
    assert camera.moves
    assert np.ptp(views, axis=0).min() > 0.05
    assert np.abs(np.diff(views, axis=0)).max() < 0.03


@pytest.mark.parametrize("what", SPOILAGE)
def test_a_camera_does_what_it_may_and_nothing_else(what: str) -> None:
    idle = Camera(rate=0)
    does = [
        {field.name for field in fields(Camera) if getattr(camera, field.name) != getattr(idle, field.name)}
        - {"rate"}
        for camera in (draw_camera((what,), np.random.default_rng(seed)) for seed in range(20))
    ]
    assert len({frozenset(one) for one in does if one}) == 1, "one thing, always the same"
