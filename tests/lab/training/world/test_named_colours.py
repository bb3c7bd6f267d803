"""Laws of the colours of things in photographs."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.world.colours import COLOURS, REGIONS, rgb_of
from lab.training.world.named_colours import REAL_COLOURS, measure_colour

MASK = np.zeros((60, 60), np.bool_)
MASK[10:50, 10:50] = True
PURE = {
    "red": (200, 25, 30),
    "green": (40, 140, 60),
    "blue": (30, 60, 200),
    "yellow": (245, 215, 60),
    "purple": (120, 50, 150),
    "white": (235, 235, 232),
    "orange": (240, 130, 30),
    "pink": (245, 140, 180),
    "brown": (110, 70, 40),
    "black": (20, 20, 22),
    "grey": (125, 126, 128),
}


def image_of(*rgb: tuple[int, int, int]) -> np.ndarray:
    """Vertical stripes of equal width, inside of the mask, on cyan."""
    image = np.full((60, 60, 3), (0, 255, 255), np.uint8)
    for index, colour in enumerate(rgb):
        width = 40 // len(rgb)
        image[10:50, 10 + index * width : 10 + (index + 1) * width] = colour
    return image


@pytest.mark.parametrize("name", PURE)
def test_plain_colours_have_their_names(name: str) -> None:
    measured = measure_colour(image_of(PURE[name]), MASK)
    assert measured.name == name
    assert name not in measured.excluded


@pytest.mark.parametrize("name", COLOURS)
def test_the_colours_of_the_drawn_world_are_called_the_same(name: str) -> None:
    region = REGIONS[name]
    red, green, blue = rgb_of(region.hue[0], region.saturation[0], region.value[0])
    assert measure_colour(image_of((round(red), round(green), round(blue))), MASK).name == name


def test_a_thing_of_two_colours_has_neither_and_surely_no_third() -> None:
    measured = measure_colour(image_of(PURE["red"], PURE["white"]), MASK)
    assert measured.name == ""
    assert not {"red", "white"} & measured.excluded
    assert "green" in measured.excluded


def test_neighbouring_colours_are_not_excluded() -> None:
    measured = measure_colour(image_of(PURE["black"]), MASK)
    assert "grey" not in measured.excluded
    assert {"red", "yellow", "white"} <= measured.excluded


def test_a_colour_between_two_names_has_none() -> None:
    assert measure_colour(image_of((210, 195, 165)), MASK).name == ""  # beige


def test_of_a_few_pixels_nothing_is_known() -> None:
    small = np.zeros((60, 60), np.bool_)
    small[20:25, 20:25] = True
    measured = measure_colour(image_of(PURE["red"]), small)
    assert measured.name == "" and not measured.excluded


def test_names_of_the_drawn_world_come_first() -> None:
    assert REAL_COLOURS[: len(COLOURS)] == COLOURS
