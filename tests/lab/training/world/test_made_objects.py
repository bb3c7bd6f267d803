"""Drawings of vehicles, buildings and household objects fit their square and vary."""

from __future__ import annotations

import pytest

from lab.training.world import made_objects
from tests.sprite_drawings import DrawFunction, assert_fits, assert_varies, drawings_of

each_drawing = pytest.mark.parametrize("draw", drawings_of(made_objects), ids=lambda draw: draw.__name__)


@each_drawing
def test_a_drawing_fits_and_fills_its_square(draw: DrawFunction) -> None:
    assert_fits(draw)


@each_drawing
def test_drawings_of_one_category_vary(draw: DrawFunction) -> None:
    assert_varies(draw)
