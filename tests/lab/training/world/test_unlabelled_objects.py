"""No two strangers are alike, all fit their sprites, and none is lost in what is behind it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.training.world.backgrounds import GROUNDS, draw_ground
from lab.training.world.colours import lab
from lab.training.world.sprites import Sprite
from lab.training.world.unlabelled_objects import SURFACES, draw_stranger

SIDE = 120
COUNT = 40


@pytest.fixture(scope="module")
def ground() -> NDArray[np.uint8]:
    return draw_ground(["leaves"], [], (128, 128), np.random.default_rng(3))


@pytest.fixture(scope="module")
def strangers(ground: NDArray[np.uint8]) -> list[Sprite]:
    return [draw_stranger(ground, SIDE, np.random.default_rng(seed)) for seed in range(COUNT)]


def test_surfaces_are_grounds() -> None:
    assert set(SURFACES) <= set(GROUNDS)


def test_the_same_chances_draw_the_same(ground: NDArray[np.uint8], strangers: list[Sprite]) -> None:
    assert np.array_equal(draw_stranger(ground, SIDE, np.random.default_rng(7)).pixels, strangers[7].pixels)


def test_every_outline_is_new(strangers: list[Sprite]) -> None:
    solids = np.stack([one.cover > 127 for one in strangers]).reshape(COUNT, -1).astype(np.float64)
    shared = solids @ solids.T
    whole = solids.sum(axis=1)
    iou = shared / (whole[:, None] + whole[None] - shared)
    assert np.quantile(iou[np.triu_indices(COUNT, 1)], 0.99) < 0.8


def test_they_fit_their_sprites_with_room_to_bend(strangers: list[Sprite]) -> None:
    margin = SIDE // 20
    for one in strangers:
        solid = one.cover > 127
        assert solid.mean() > 0.03
        assert not solid[:margin].any() and not solid[-margin:].any()
        assert not solid[:, :margin].any() and not solid[:, -margin:].any()


def test_a_surface_has_a_texture(strangers: list[Sprite]) -> None:
    spread = [one.paint[one.cover > 200].std(axis=0).max() for one in strangers]
    assert np.median(spread) > 15


def test_hardly_one_is_lost_in_what_is_behind_it(ground: NDArray[np.uint8], strangers: list[Sprite]) -> None:
    """Some share a colour with the ground; as a whole, most are of another."""
    behind = lab(ground.reshape(-1, 3).astype(np.float64)).mean(axis=0)
    gaps = [
        np.linalg.norm(lab(one.paint[one.cover > 200].astype(np.float64)).mean(axis=0) - behind)
        for one in strangers
    ]
    assert np.quantile(gaps, 0.15) > 6
    assert np.quantile(gaps, 0.85) > 20
