"""Every kind is its own silhouette and mostly its own colour."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lab.training.world.catalogue import DRAWN, KINDS, SHAPES, UPRIGHT
from lab.training.world.colours import COLOURS, REGIONS, lab, sample
from lab.training.world.sprites import REACH, Sprite, draw_sprite
from lab.training.world.textures import plain

SIDE = round(48 * REACH)


def sprite(kind: str, colour: str = "red", seed: int = 0) -> Sprite:
    rng = np.random.default_rng(seed)
    rgb = sample(colour, 0.5, rng)
    return draw_sprite(DRAWN[kind].draw(rng), rgb, plain(rgb, SIDE, rng), rng)


def stretched(cover: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The silhouette scaled to fill a square: neither size nor proportions count."""
    solid = cover > 127
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    cut = cover[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.asarray(cv2.resize(cut, (48, 48), interpolation=cv2.INTER_AREA) > 127)


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_there_are_enough_kinds_and_all_shapes_are_kinds() -> None:
    assert len(KINDS) >= 24
    assert set(SHAPES) <= set(KINDS)


def test_every_silhouette_differs_from_every_other() -> None:
    """As it is drawn, or stretched to its square: a person is no bottle, though both are tall."""
    drawn = {kind: sprite(kind).cover for kind in KINDS}
    alike = {
        (a, b): min(iou(drawn[a] > 127, drawn[b] > 127), iou(stretched(drawn[a]), stretched(drawn[b])))
        for a, b in itertools.combinations(KINDS, 2)
    }
    worst = max(alike, key=lambda pair: alike[pair])
    assert alike[worst] < 0.8, (worst, alike[worst])


@pytest.mark.parametrize("kind", KINDS)
def test_most_of_a_thing_is_of_its_colour(kind: str) -> None:
    for colour in COLOURS:
        drawn = sprite(kind, colour, seed=3)
        pixels = drawn.paint[drawn.cover > 200]
        names = lab([sample(name, 0.0, np.random.default_rng(0)) for name in REGIONS])
        nearest = np.linalg.norm(lab(pixels.astype(np.float64))[:, None] - names[None], axis=2).argmin(axis=1)
        shares = np.bincount(nearest, minlength=len(names)) / len(pixels)
        assert COLOURS[int(shares.argmax())] == colour, (
            colour,
            dict(zip(COLOURS, shares.round(2), strict=True)),
        )
        assert shares.max() > 0.5, (colour, shares.max())


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_varies_little(kind: str) -> None:
    first = sprite(kind).cover > 127
    assert all(iou(first, sprite(kind, seed=seed).cover > 127) > 0.55 for seed in range(1, 6))


def test_who_has_a_head_keeps_it_up() -> None:
    assert all(DRAWN[kind].tilt <= UPRIGHT for kind in ("person", "dog", "cat", "car", "house", "chair"))
