"""Every made thing fits its square, and no two of a kind have the same proportions."""

from __future__ import annotations

import pytest

from lab.training.world import made_objects
from tests.drawings import Drawing, assert_fits, assert_varies, drawings_of

each_drawing = pytest.mark.parametrize("draw", drawings_of(made_objects), ids=lambda draw: draw.__name__)


@each_drawing
def test_a_drawing_fits_and_fills_its_square(draw: Drawing) -> None:
    assert_fits(draw)


@each_drawing
def test_no_two_are_alike(draw: Drawing) -> None:
    assert_varies(draw)
