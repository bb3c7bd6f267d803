"""J, F and J&F of masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.evaluation.metrics import Fits, Mean, boundary_f, j_and_f, region_j


def _box(x0: int, x1: int, size: int = 64) -> NDArray[np.bool_]:
    mask = np.zeros((size, size), dtype=np.bool_)
    mask[16:48, x0:x1] = True
    return mask


EMPTY = np.zeros((64, 64), dtype=np.bool_)


def test_a_mask_scores_one_with_itself() -> None:
    assert region_j(_box(8, 24), _box(8, 24)) == 1.0
    assert boundary_f(_box(8, 24), _box(8, 24)) == 1.0


def test_two_empty_masks_score_one() -> None:
    assert region_j(EMPTY, EMPTY) == 1.0
    assert boundary_f(EMPTY, EMPTY) == 1.0


def test_an_empty_and_a_full_mask_score_zero() -> None:
    assert region_j(EMPTY, _box(8, 24)) == 0.0
    assert boundary_f(EMPTY, _box(8, 24)) == 0.0
    assert boundary_f(_box(8, 24), EMPTY) == 0.0


def test_a_shift_by_half_the_width_has_j_of_a_third() -> None:
    assert region_j(_box(0, 16), _box(8, 24)) == pytest.approx(1 / 3)


def test_a_boundary_one_pixel_off_is_within_tolerance() -> None:
    assert boundary_f(_box(9, 25), _box(8, 24)) == 1.0
    assert region_j(_box(9, 25), _box(8, 24)) < 1.0


def test_a_boundary_far_off_has_f_zero() -> None:
    assert boundary_f(_box(40, 56), _box(4, 20)) == 0.0


def test_f_is_symmetric() -> None:
    first, second = _box(8, 24), _box(12, 40)
    assert boundary_f(first, second) == pytest.approx(boundary_f(second, first))


def test_j_and_f_is_the_mean_of_both() -> None:
    first, second = _box(8, 24), _box(12, 40)
    assert j_and_f(first, second) == pytest.approx((region_j(first, second) + boundary_f(first, second)) / 2)


def test_a_mean_without_values_is_nan() -> None:
    mean = Mean()
    assert math.isnan(mean.value)
    mean.add(1.0)
    mean.add(0.0)
    assert mean.value == 0.5


def test_fits_are_means_of_j_and_of_f() -> None:
    fits = Fits()
    assert fits.fit.cases == 0 and math.isnan(fits.fit.j_and_f)
    fits.add(_box(8, 24), _box(8, 24))
    fits.add(EMPTY, _box(8, 24))
    fits.add(_box(9, 25), _box(8, 24))
    j = (1 + region_j(_box(9, 25), _box(8, 24))) / 3
    assert (fits.fit.cases, fits.fit.f) == (3, pytest.approx(2 / 3))
    assert fits.fit.j == pytest.approx(j) and fits.fit.j_and_f == pytest.approx((j + 2 / 3) / 2)
