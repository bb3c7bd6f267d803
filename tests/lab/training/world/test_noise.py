"""Noise has the size, mean and spectrum that are documented."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.world.noise import fractal_noise, sensor_noise


@pytest.mark.parametrize("size", [(256, 256), (360, 640), (90, 40)])
def test_noise_has_the_size_asked_for(size: tuple[int, int]) -> None:
    noise = fractal_noise(np.random.default_rng(0), size, 0.5)
    assert noise.shape == size and noise.dtype == np.float32
    assert sensor_noise(np.random.default_rng(0), size).shape == (*size, 3)


def test_mean_and_deviation_are_about_0_and_1() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([fractal_noise(rng, (64, 64), 0.8) for _ in range(60)])
    assert abs(values.mean()) < 0.25
    assert 0.7 < values.std() < 1.3


def roughness(detail: float, axis: int = 1, stretch: float = 1.0) -> float:
    rng = np.random.default_rng(0)
    steps = [np.diff(fractal_noise(rng, (128, 128), detail, stretch), axis=axis).std() for _ in range(12)]
    return float(np.mean(steps))


def test_more_detail_is_finer() -> None:
    assert roughness(0.1) < roughness(0.4) < roughness(0.9)


def test_stretch_makes_vertical_streaks() -> None:
    assert roughness(0.9, axis=1, stretch=5.0) > 1.5 * roughness(0.9, axis=0, stretch=5.0)


def test_amplitudes_fall_with_frequency_as_in_natural_images() -> None:
    rng = np.random.default_rng(1)
    power = np.mean([np.abs(np.fft.rfft2(fractal_noise(rng, (128, 128), 0.9))) for _ in range(20)], axis=0)
    low, high = power[0, 4:8].mean(), power[0, 16:32].mean()
    assert 2 < low / high < 10


def test_the_generator_decides_the_crop() -> None:
    one, other = (
        fractal_noise(np.random.default_rng(0), (32, 32), 0.3),
        fractal_noise(np.random.default_rng(1), (32, 32), 0.3),
    )
    assert not np.array_equal(one, other)
    assert np.array_equal(one, fractal_noise(np.random.default_rng(0), (32, 32), 0.3))
