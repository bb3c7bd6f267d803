"""Every category has a silhouette of its own and mostly the colour of its label."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lab.training.world.catalogue import CATEGORIES, DRAWINGS, SHAPES, UPRIGHT
from lab.training.world.colours import COLOURS, REGIONS, cielab, sample_colour
from lab.training.world.sprites import SPRITE_EXTENT, Sprite, draw_sprite
from lab.training.world.textures import plain

SIDE = round(48 * SPRITE_EXTENT)


def sprite(category: str, colour: str = "red", seed: int = 0) -> Sprite:
    rng = np.random.default_rng(seed)
    rgb = sample_colour(colour, 0.5, rng)
    return draw_sprite(DRAWINGS[category].draw(rng), rgb, plain(rgb, SIDE, rng), rng)


def stretched(alpha: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Scale the silhouette to fill a square, so that neither size nor aspect counts."""
    solid = alpha > 127
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    cut = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.asarray(cv2.resize(cut, (48, 48), interpolation=cv2.INTER_AREA) > 127)


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_there_are_enough_categories_and_all_shapes_are_categories() -> None:
    assert len(CATEGORIES) >= 24
    assert set(SHAPES) <= set(CATEGORIES)


def test_every_silhouette_differs_from_every_other() -> None:
    """As drawn, or stretched to a square."""
    drawn = {category: sprite(category).alpha for category in CATEGORIES}
    alike = {
        (a, b): min(iou(drawn[a] > 127, drawn[b] > 127), iou(stretched(drawn[a]), stretched(drawn[b])))
        for a, b in itertools.combinations(CATEGORIES, 2)
    }
    worst = max(alike, key=lambda pair: alike[pair])
    assert alike[worst] < 0.8, (worst, alike[worst])


@pytest.mark.parametrize("category", CATEGORIES)
def test_most_of_an_object_has_its_colour(category: str) -> None:
    for colour in COLOURS:
        drawn = sprite(category, colour, seed=3)
        pixels = drawn.rgb[drawn.alpha > 200]
        names = cielab([sample_colour(name, 0.0, np.random.default_rng(0)) for name in REGIONS])
        gaps = np.linalg.norm(cielab(pixels.astype(np.float64))[:, None] - names[None], axis=2)
        nearest = gaps.argmin(axis=1)
        shares = np.bincount(nearest, minlength=len(names)) / len(pixels)
        assert COLOURS[int(shares.argmax())] == colour, (
            colour,
            dict(zip(COLOURS, shares.round(2), strict=True)),
        )
        assert shares.max() > 0.5, (colour, shares.max())


@pytest.mark.parametrize("category", CATEGORIES)
def test_objects_of_one_category_are_similar(category: str) -> None:
    first = sprite(category).alpha > 127
    assert all(iou(first, sprite(category, seed=seed).alpha > 127) > 0.55 for seed in range(1, 6))


def test_categories_with_a_top_stay_upright() -> None:
    upright = ("person", "dog", "cat", "car", "house", "chair")
    assert all(DRAWINGS[category].max_tilt_rad <= UPRIGHT for category in upright)
