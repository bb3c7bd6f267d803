"""Objects' colours stand out from backgrounds of every kind."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lab.training.world.backgrounds import BACKGROUNDS, MIN_CONTRAST_LAB, clearance, draw_background
from lab.training.world.colours import COLOURS, Rgb, cielab, sample_colour
from lab.training.world.levels import CURRICULUM

SIZE = (96, 128)


def colours_named(*names: str) -> list[Rgb]:
    rng = np.random.default_rng(0)
    return [sample_colour(colour, 0.5, rng) for colour in names]


@pytest.mark.parametrize("kind", BACKGROUNDS)
@pytest.mark.parametrize("size", [SIZE, (64, 64), (360, 640)])
def test_a_background_has_the_size_asked_for(kind: str, size: tuple[int, int]) -> None:
    background = draw_background([kind], colours_named("red"), size, np.random.default_rng(0))
    assert background.shape == (*size, 3) and background.dtype == np.uint8


@pytest.mark.parametrize("kind", sorted({kind for level in CURRICULUM for kind in level.backgrounds}))
def test_most_of_a_background_stands_out_from_the_objects(kind: str) -> None:
    """At the scale of half an object, so that grain and joints do not count."""
    for seed in range(4):
        colours = colours_named(*np.random.default_rng(seed).choice(COLOURS, size=2, replace=False))
        background = draw_background([kind, "flat"], colours, SIZE, np.random.default_rng(seed))
        cells = background.reshape(12, 8, 16, 8, 3).mean(axis=(1, 3)).reshape(-1, 3)
        gaps = np.linalg.norm(cielab(cells)[:, None] - cielab(colours)[None], axis=2).min(axis=1)
        assert np.mean(gaps > 15) > 0.9, (seed, gaps)


def test_without_labelled_objects_any_tones_serve() -> None:
    assert clearance(np.zeros((2, 3), dtype=np.float32), []) == np.inf
    assert draw_background(["leaves"], [], SIZE, np.random.default_rng(0)).shape == (*SIZE, 3)


def test_leaves_are_self_similar_over_scales() -> None:
    """As in photographs, differences grow with distance at every scale."""
    backgrounds = [
        draw_background(["leaves"], [], (128, 128), np.random.default_rng(seed)) for seed in range(12)
    ]
    light = np.stack([background.mean(axis=2) for background in backgrounds])
    steps = [np.abs(light[:, :, apart:] - light[:, :, :-apart]).mean() for apart in (1, 4, 16, 48)]
    assert all(near < far for near, far in itertools.pairwise(steps))
    assert steps[0] < 0.35 * steps[-1]


def test_all_colours_together_still_get_a_background() -> None:
    background = draw_background(
        ["dull", "flat", "photo"], colours_named(*COLOURS), SIZE, np.random.default_rng(0)
    )
    gaps = np.linalg.norm(
        cielab(background.reshape(-1, 3)[::37])[:, None] - cielab(colours_named(*COLOURS))[None], axis=2
    )
    assert gaps.min(axis=1).mean() > 15


def test_clearance_is_the_least_distance_of_tones_and_colours() -> None:
    tones = np.array([[100, 100, 100], [120, 120, 120]], dtype=np.float32)
    assert clearance(tones, [(110.0, 110.0, 110.0)]) == pytest.approx(0, abs=0.5), (
        "the mean of the tones counts"
    )
    assert clearance(tones, colours_named("red")) > MIN_CONTRAST_LAB
    assert clearance(tones, [*colours_named("red"), (100.0, 100.0, 100.0)]) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("kind", sorted(set(BACKGROUNDS) - {"flat"}))
def test_backgrounds_vary_with_the_generator_and_only_flat_ones_are_flat(kind: str) -> None:
    one, other = (
        draw_background([kind], colours_named("red"), SIZE, np.random.default_rng(seed)) for seed in (1, 2)
    )
    assert not np.array_equal(one, other)
    assert one.std(axis=(0, 1)).max() > 1
