"""The named colours are distinct."""

from __future__ import annotations

import colorsys
import itertools

import numpy as np
import pytest

from lab.training.world.colours import (
    COLOURS,
    Rgb,
    blended,
    cielab,
    luma,
    rgb_of,
    sample_colour,
    scaled,
)


def samples(colour: str, spread: float = 1.0, count: int = 60) -> list[Rgb]:
    rng = np.random.default_rng(0)
    return [sample_colour(colour, spread, rng) for _ in range(count)]


def textbook_name(rgb: Rgb) -> str:
    """Name a colour by textbook hues, independently of the regions."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in rgb))
    degrees = hue * 360
    if value < 0.2:
        return "black"
    if saturation < 0.12:
        return "white" if value > 0.8 else "grey"
    if value < 0.55 and 10 < degrees < 45:
        return "brown"
    if saturation < 0.6 and value > 0.85 and (degrees > 300 or degrees < 10):
        return "pink"
    ends = (
        (12, "red"),
        (40, "orange"),
        (65, "yellow"),
        (170, "green"),
        (250, "blue"),
        (305, "purple"),
        (346, "pink"),
    )
    return next((name for end, name in ends if degrees <= end), "red")


@pytest.mark.parametrize("colour", COLOURS)
def test_every_sample_has_its_name(colour: str) -> None:
    assert {textbook_name(rgb) for rgb in samples(colour)} == {colour}


def test_regions_are_well_apart() -> None:
    points = {colour: cielab(samples(colour)) for colour in COLOURS}
    for one, other in itertools.combinations(COLOURS, 2):
        gap = np.linalg.norm(points[one][:, None] - points[other][None], axis=2).min()
        assert gap > 15, (one, other, gap)


def test_spread_widens_the_range_of_samples() -> None:
    assert len(set(samples("green", 0.0))) == 1
    near, far = (np.ptp(np.array(samples("green", spread)), axis=0).max() for spread in (0.3, 1.0))
    assert 0 < near < far


def test_arithmetic_of_colours() -> None:
    assert rgb_of(0, 1, 1) == (255.0, 0.0, 0.0) and rgb_of(360, 1, 1) == rgb_of(0, 1, 1)
    assert scaled((100.0, 200.0, 10.0), 2.0) == (200.0, 255.0, 20.0)
    assert blended((0.0, 0.0, 0.0), (100.0, 200.0, 50.0), 0.5) == (50.0, 100.0, 25.0)
    assert luma((255.0, 255.0, 255.0)) == pytest.approx(255.0)
    assert cielab([(255.0, 255.0, 255.0)])[0, 0] == pytest.approx(100.0, abs=0.1)
