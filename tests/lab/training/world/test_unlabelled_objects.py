"""Unlabelled objects have distinct outlines, fit their sprites, and mostly stand out from the background."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.training.world.backgrounds import BACKGROUNDS, draw_background
from lab.training.world.colours import cielab
from lab.training.world.sprites import Sprite
from lab.training.world.unlabelled_objects import SURFACES, draw_unlabelled_object

SIDE = 120
COUNT = 40


@pytest.fixture(scope="module")
def background() -> NDArray[np.uint8]:
    return draw_background(["leaves"], [], (128, 128), np.random.default_rng(3))


@pytest.fixture(scope="module")
def sprites(background: NDArray[np.uint8]) -> list[Sprite]:
    return [draw_unlabelled_object(background, SIDE, np.random.default_rng(seed)) for seed in range(COUNT)]


def test_surfaces_are_backgrounds() -> None:
    assert set(SURFACES) <= set(BACKGROUNDS)


def test_the_generator_decides_the_object(background: NDArray[np.uint8], sprites: list[Sprite]) -> None:
    assert np.array_equal(
        draw_unlabelled_object(background, SIDE, np.random.default_rng(7)).pixels, sprites[7].pixels
    )


def test_outlines_are_distinct(sprites: list[Sprite]) -> None:
    solids = np.stack([one.alpha > 127 for one in sprites]).reshape(COUNT, -1).astype(np.float64)
    shared = solids @ solids.T
    whole = solids.sum(axis=1)
    iou = shared / (whole[:, None] + whole[None] - shared)
    assert np.quantile(iou[np.triu_indices(COUNT, 1)], 0.99) < 0.8


def test_they_fit_their_sprites_with_room_for_deformation(sprites: list[Sprite]) -> None:
    margin = SIDE // 20
    for one in sprites:
        solid = one.alpha > 127
        assert solid.mean() > 0.03
        assert not solid[:margin].any() and not solid[-margin:].any()
        assert not solid[:, :margin].any() and not solid[:, -margin:].any()


def test_a_surface_has_a_texture(sprites: list[Sprite]) -> None:
    spread = [one.rgb[one.alpha > 200].std(axis=0).max() for one in sprites]
    assert np.median(spread) > 15


def test_most_stand_out_from_the_background(background: NDArray[np.uint8], sprites: list[Sprite]) -> None:
    """Some share a colour with it; their mean colour mostly differs."""
    behind = cielab(background.reshape(-1, 3).astype(np.float64)).mean(axis=0)
    gaps = [
        np.linalg.norm(cielab(one.rgb[one.alpha > 200].astype(np.float64)).mean(axis=0) - behind)
        for one in sprites
    ]
    assert np.quantile(gaps, 0.15) > 6
    assert np.quantile(gaps, 0.85) > 20
