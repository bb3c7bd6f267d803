"""Checks for every function that draws a category."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType

import numpy as np

from lab.training.world.parts import Part, Tone
from lab.training.world.sprites import SPRITE_EXTENT

DrawFunction = Callable[[np.random.Generator], list[Part]]


def drawings_of(module: ModuleType) -> list[DrawFunction]:
    """The functions that a module defines."""
    functions = inspect.getmembers(module, inspect.isfunction)
    return [function for _, function in functions if function.__module__ == module.__name__]


def assert_fits(draw: DrawFunction) -> None:
    """The drawing fits and fills its square, and a part has the object's colour."""
    for seed in range(5):
        parts = draw(np.random.default_rng(seed))
        corners = np.concatenate([outline for part in parts for outline in part.outlines])
        assert np.abs(corners).max() < SPRITE_EXTENT - 0.02
        assert np.ptp(corners, axis=0).max() > 1.7
        assert np.abs((corners.min(axis=0) + corners.max(axis=0)) / 2).max() < 0.3, "centred"
        assert any(part.tone is Tone.BODY for part in parts)


def assert_varies(draw: DrawFunction) -> None:
    """Drawings of different seeds differ."""
    one, other = (
        np.concatenate([part.outlines[0] for part in draw(np.random.default_rng(seed))]) for seed in (1, 2)
    )
    assert one.shape == other.shape
    assert np.abs(one - other).max() > 0.01
