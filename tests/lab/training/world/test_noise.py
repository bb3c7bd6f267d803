"""Noise with the statistics of nature, cheap to look at."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.world.noise import field, grain


@pytest.mark.parametrize("size", [(256, 256), (360, 640), (90, 40)])
def test_a_field_has_the_size_asked_for(size: tuple[int, int]) -> None:
    seen = field(np.random.default_rng(0), size, 0.5)
    assert seen.shape == size and seen.dtype == np.float32
    assert grain(np.random.default_rng(0), size).shape == (*size, 3)


def test_fields_are_about_nothing_on_average() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([field(rng, (64, 64), 0.8) for _ in range(60)])
    assert abs(values.mean()) < 0.25
    assert 0.7 < values.std() < 1.3


def roughness(detail: float, axis: int = 1, stretch: float = 1.0) -> float:
    rng = np.random.default_rng(0)
    steps = [np.diff(field(rng, (128, 128), detail, stretch), axis=axis).std() for _ in range(12)]
    return float(np.mean(steps))


def test_more_detail_is_finer() -> None:
    assert roughness(0.1) < roughness(0.4) < roughness(0.9)


def test_stretched_noise_stands() -> None:
    assert roughness(0.9, axis=1, stretch=5.0) > 1.5 * roughness(0.9, axis=0, stretch=5.0)


def test_amplitudes_fall_with_frequency_as_in_pictures() -> None:
    rng = np.random.default_rng(1)
    power = np.mean([np.abs(np.fft.rfft2(field(rng, (128, 128), 0.9))) for _ in range(20)], axis=0)
    low, high = power[0, 4:8].mean(), power[0, 16:32].mean()
    assert 2 < low / high < 10


def test_chances_decide_where_one_looks() -> None:
    one, other = (
        field(np.random.default_rng(0), (32, 32), 0.3),
        field(np.random.default_rng(1), (32, 32), 0.3),
    )
    assert not np.array_equal(one, other)
    assert np.array_equal(one, field(np.random.default_rng(0), (32, 32), 0.3))
