"""Outlines have the size and the direction that they are asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.training.world.parts import (
    Outline,
    Tone,
    capsule,
    disc,
    ellipse,
    fill,
    polygon,
    rectangle,
    ring_sector,
    rounded,
)


def area(outline: Outline) -> float:
    x, y = outline[:, 0], outline[:, 1]
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def test_areas_of_discs_and_ellipses() -> None:
    assert area(disc((0.2, -0.1), 0.5)) == pytest.approx(math.pi * 0.25, rel=0.01)
    assert area(ellipse((0, 0), (1.0, 0.5), 0.7)) == pytest.approx(math.pi * 0.5, rel=0.01)
    np.testing.assert_allclose(disc((0.2, -0.1), 0.5).mean(axis=0), (0.2, -0.1), atol=1e-9)


def test_an_ellipse_turns_clockwise() -> None:
    turned = ellipse((0, 0), (1.0, 0.1), math.pi / 4)
    tip = turned[np.argmax(turned[:, 0])]
    assert tip[1] > 0.6, "y goes down"


def test_a_rectangle_has_sharp_or_rounded_corners() -> None:
    assert area(rectangle((-1, -0.5), (1, 0.5))) == pytest.approx(2.0)
    assert area(rectangle((-1, -0.5), (1, 0.5), 0.2)) == pytest.approx(2.0 - (4 - math.pi) * 0.04, rel=0.01)


def test_a_capsule_reaches_both_ends() -> None:
    outline = capsule((0, 0), (1, 0), 0.1, 0.05)
    assert outline[:, 0].min() == pytest.approx(-0.1, abs=0.01)
    assert outline[:, 0].max() == pytest.approx(1.05, abs=0.01)


def test_the_area_of_a_ring_sector() -> None:
    assert area(ring_sector((0, 0), (0.5, 1.0), (0, math.pi))) == pytest.approx(math.pi / 2 * 0.75, rel=0.01)


def test_rounding_stays_inside_the_polygon() -> None:
    round_square = rounded((-1, -1), (1, -1), (1, 1), (-1, 1))
    assert 2.8 < area(round_square) < 3.9
    assert np.abs(round_square).max() <= 1


def test_a_part_has_the_body_tone_by_default() -> None:
    assert fill(polygon((0, 0), (1, 0), (0, 1))).tone is Tone.BODY
    assert len(fill(disc((0, 0), 1), disc((0, 0), 0.5), tone=Tone.DARK).outlines) == 2
