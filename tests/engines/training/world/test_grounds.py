"""Grounds of every kind leave the things visible."""

from __future__ import annotations

import numpy as np
import pytest

from engines.training.world.colours import COLOURS, Rgb, lab, sample
from engines.training.world.grounds import CLEAR_OF, GROUNDS, clearance, draw_ground

SIZE = (96, 128)


def things(*colours: str) -> list[Rgb]:
    rng = np.random.default_rng(0)
    return [sample(colour, 0.5, rng) for colour in colours]


@pytest.mark.parametrize("kind", GROUNDS)
@pytest.mark.parametrize("size", [SIZE, (64, 64), (360, 640)])
def test_a_ground_fills_the_picture(kind: str, size: tuple[int, int]) -> None:
    ground = draw_ground([kind], things("red"), size, np.random.default_rng(0))
    assert ground.shape == (*size, 3) and ground.dtype == np.uint8


@pytest.mark.parametrize("kind", GROUNDS)
def test_most_of_a_ground_is_clear_of_the_things(kind: str) -> None:
    """Seen at half a thing's size: grain and joints do not hide it."""
    for seed in range(4):
        colours = things(*np.random.default_rng(seed).choice(COLOURS, size=2, replace=False))
        ground = draw_ground([kind, "flat"], colours, SIZE, np.random.default_rng(seed))
        cells = ground.reshape(12, 8, 16, 8, 3).mean(axis=(1, 3)).reshape(-1, 3)
        gaps = np.linalg.norm(lab(cells)[:, None] - lab(colours)[None], axis=2).min(axis=1)
        assert np.mean(gaps > 15) > 0.9, (seed, gaps)


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
