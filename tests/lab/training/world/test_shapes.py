"""A shape fits and fills its square, and is one part of one colour."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.world import shapes
from lab.training.world.parts import Tone
from tests.sprite_drawings import DrawFunction, assert_fits, drawings_of

DRAWINGS = drawings_of(shapes)
each_drawing = pytest.mark.parametrize("draw", DRAWINGS, ids=lambda draw: draw.__name__)


@each_drawing
def test_a_drawing_fits_and_fills_its_square(draw: DrawFunction) -> None:
    assert_fits(draw)


@each_drawing
def test_a_shape_is_one_part(draw: DrawFunction) -> None:
    [part] = draw(np.random.default_rng(0))
    assert part.tone is Tone.BODY


def test_only_the_ring_has_a_hole() -> None:
    holed = [draw.__name__ for draw in DRAWINGS if len(draw(np.random.default_rng(0))[0].outlines) > 1]
    assert holed == ["ring"]
