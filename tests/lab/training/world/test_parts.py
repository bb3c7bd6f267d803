"""Outlines have the size they are asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.training.world.parts import Outline, Tone, band, disc, ellipse, fill, limb, polygon, slab, smooth


def area(outline: Outline) -> float:
    x, y = outline[:, 0], outline[:, 1]
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def test_round_things() -> None:
    assert area(disc((0.2, -0.1), 0.5)) == pytest.approx(math.pi * 0.25, rel=0.01)
    assert area(ellipse((0, 0), (1.0, 0.5), 0.7)) == pytest.approx(math.pi * 0.5, rel=0.01)
    np.testing.assert_allclose(disc((0.2, -0.1), 0.5).mean(axis=0), (0.2, -0.1), atol=1e-9)


def test_an_ellipse_turns_clockwise() -> None:
    turned = ellipse((0, 0), (1.0, 0.1), math.pi / 4)
    tip = turned[np.argmax(turned[:, 0])]
    assert tip[1] > 0.6, "y goes down"


def test_slabs_keep_their_corners_or_round_them() -> None:
    assert area(slab((-1, -0.5), (1, 0.5))) == pytest.approx(2.0)
    assert area(slab((-1, -0.5), (1, 0.5), 0.2)) == pytest.approx(2.0 - (4 - math.pi) * 0.04, rel=0.01)


def test_a_limb_reaches_both_ends() -> None:
    stick = limb((0, 0), (1, 0), 0.1, 0.05)
    assert stick[:, 0].min() == pytest.approx(-0.1, abs=0.01)
    assert stick[:, 0].max() == pytest.approx(1.05, abs=0.01)


def test_a_band_is_part_of_a_ring() -> None:
    assert area(band((0, 0), (0.5, 1.0), (0, math.pi))) == pytest.approx(math.pi / 2 * 0.75, rel=0.01)


def test_smoothing_stays_inside_the_corners() -> None:
    round_square = smooth((-1, -1), (1, -1), (1, 1), (-1, 1))
    assert 2.8 < area(round_square) < 3.9
    assert np.abs(round_square).max() <= 1


def test_a_part_is_of_the_named_colour_unless_said() -> None:
    assert fill(polygon((0, 0), (1, 0), (0, 1))).tone is Tone.BODY
    assert len(fill(disc((0, 0), 1), disc((0, 0), 0.5), tone=Tone.DARK).outlines) == 2
