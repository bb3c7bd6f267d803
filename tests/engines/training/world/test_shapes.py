"""Every shape fits its square and fills enough of it; a shape is one part of one colour."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import pytest

from engines.training.world import shapes
from engines.training.world.parts import Part, Tone
from engines.training.world.sprites import REACH

Drawing = Callable[[np.random.Generator], list[Part]]
DRAWINGS: list[Drawing] = [
    made for _, made in inspect.getmembers(shapes, inspect.isfunction) if made.__module__ == shapes.__name__
]


@pytest.mark.parametrize("draw", DRAWINGS, ids=lambda draw: draw.__name__)
def test_a_drawing_fits_and_fills_its_square(draw: Drawing) -> None:
    for seed in range(5):
        parts = draw(np.random.default_rng(seed))
        corners = np.concatenate([outline for part in parts for outline in part.outlines])
        assert np.abs(corners).max() < REACH - 0.02
        assert np.ptp(corners, axis=0).max() > 1.7
        assert np.abs((corners.min(axis=0) + corners.max(axis=0)) / 2).max() < 0.3, "about the middle"
        assert any(part.tone is Tone.BODY for part in parts)


@pytest.mark.parametrize("draw", DRAWINGS, ids=lambda draw: draw.__name__)
def test_a_shape_is_one_part(draw: Drawing) -> None:
    [part] = draw(np.random.default_rng(0))
    assert part.tone is Tone.BODY


def test_only_the_ring_has_a_hole() -> None:
    holed = [draw.__name__ for draw in DRAWINGS if len(draw(np.random.default_rng(0))[0].outlines) > 1]
    assert holed == ["ring"]
