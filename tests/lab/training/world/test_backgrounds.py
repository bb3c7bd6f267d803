"""Grounds of every kind leave the things visible."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lab.training.world.backgrounds import CLEAR_OF, GROUNDS, clearance, draw_ground
from lab.training.world.colours import COLOURS, Rgb, lab, sample
from lab.training.world.levels import LADDER

SIZE = (96, 128)


def things(*colours: str) -> list[Rgb]:
    rng = np.random.default_rng(0)
    return [sample(colour, 0.5, rng) for colour in colours]


@pytest.mark.parametrize("kind", GROUNDS)
@pytest.mark.parametrize("size", [SIZE, (64, 64), (360, 640)])
def test_a_ground_fills_the_picture(kind: str, size: tuple[int, int]) -> None:
    ground = draw_ground([kind], things("red"), size, np.random.default_rng(0))
    assert ground.shape == (*size, 3) and ground.dtype == np.uint8


@pytest.mark.parametrize("kind", sorted({kind for level in LADDER for kind in level.grounds}))
def test_most_of_a_ground_is_clear_of_the_things(kind: str) -> None:
    """Seen at half a thing's size: grain and joints do not hide it."""
    for seed in range(4):
        colours = things(*np.random.default_rng(seed).choice(COLOURS, size=2, replace=False))
        ground = draw_ground([kind, "flat"], colours, SIZE, np.random.default_rng(seed))
        cells = ground.reshape(12, 8, 16, 8, 3).mean(axis=(1, 3)).reshape(-1, 3)
        gaps = np.linalg.norm(lab(cells)[:, None] - lab(colours)[None], axis=2).min(axis=1)
        assert np.mean(gaps > 15) > 0.9, (seed, gaps)


def test_where_nothing_has_a_name_any_tones_will_do() -> None:
    assert clearance(np.zeros((2, 3), dtype=np.float32), []) == np.inf
    assert draw_ground(["leaves"], [], SIZE, np.random.default_rng(0)).shape == (*SIZE, 3)


def test_leaves_are_of_all_sizes() -> None:
    """As in photographs, neighbours are mostly alike at every scale and mostly different far apart."""
    grounds = [draw_ground(["leaves"], [], (128, 128), np.random.default_rng(seed)) for seed in range(12)]
    light = np.stack([ground.mean(axis=2) for ground in grounds])
    steps = [np.abs(light[:, :, apart:] - light[:, :, :-apart]).mean() for apart in (1, 4, 16, 48)]
    assert all(near < far for near, far in itertools.pairwise(steps))
    assert steps[0] < 0.35 * steps[-1]


def test_all_colours_together_still_find_a_ground() -> None:
    ground = draw_ground(["dull", "flat", "photo"], things(*COLOURS), SIZE, np.random.default_rng(0))
    gaps = np.linalg.norm(lab(ground.reshape(-1, 3)[::37])[:, None] - lab(things(*COLOURS))[None], axis=2)
    assert gaps.min(axis=1).mean() > 15


def test_clearance_is_the_nearest_of_tones_and_things() -> None:
    tones = np.array([[100, 100, 100], [120, 120, 120]], dtype=np.float32)
    assert clearance(tones, [(110.0, 110.0, 110.0)]) == pytest.approx(0, abs=0.5), "their middle counts"
    assert clearance(tones, things("red")) > CLEAR_OF
    assert clearance(tones, [*things("red"), (100.0, 100.0, 100.0)]) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("kind", sorted(set(GROUNDS) - {"flat"}))
def test_no_two_grounds_are_alike_and_only_flat_ones_are_flat(kind: str) -> None:
    one, other = (draw_ground([kind], things("red"), SIZE, np.random.default_rng(seed)) for seed in (1, 2))
    assert not np.array_equal(one, other)
    assert one.std(axis=(0, 1)).max() > 1
