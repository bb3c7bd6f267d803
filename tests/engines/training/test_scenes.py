"""Laws of the drawn world."""

from __future__ import annotations

import numpy as np
import pytest

from engines.training.scenes import (
    COLOURS,
    HELD_OUT_SEED,
    KINDS,
    Clip,
    Expression,
    draw_clip,
    draw_demo,
    expressions,
)

SEEDS = range(24)


def _visible(clip: Clip) -> list[int]:
    return [i for i in range(len(clip.things)) if clip.masks[0, i].any()]


def test_the_same_seed_draws_the_same_clip() -> None:
    one, other = draw_clip(5, frames=3, stride=4), draw_clip(5, frames=3, stride=4)
    assert np.array_equal(one.frames, other.frames)
    assert np.array_equal(one.masks, other.masks)
    assert one.things == other.things


def test_another_seed_draws_another_clip() -> None:
    assert not np.array_equal(draw_clip(5, frames=1).frames, draw_clip(6, frames=1).frames)


def test_a_held_out_seed_is_a_seed_like_any_other() -> None:
    assert draw_clip(HELD_OUT_SEED, frames=1).frames.shape == (1, 256, 256, 3)


@pytest.mark.parametrize("size", [(256, 256), (360, 640), (96, 128)])
def test_a_clip_has_the_size_asked_for(size: tuple[int, int]) -> None:
    clip = draw_clip(1, frames=2, size=size)
    assert clip.frames.shape == (2, *size, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.masks.shape == (2, len(clip.things), *size)
    assert 2 <= len(clip.things) <= 4


def test_no_pixel_belongs_to_two_things() -> None:
    for seed in SEEDS:
        assert draw_clip(seed, frames=2, stride=10).masks.sum(axis=1).max() <= 1


def test_what_is_seen_is_never_more_than_the_whole() -> None:
    for seed in SEEDS:
        clip = draw_clip(seed, frames=1)
        seen = clip.masks.sum(axis=(2, 3))
        # The painter covers an outline's own pixels too, half a pixel all around.
        assert (seen <= clip.whole_px * 1.1 + 60).all()


def test_two_things_of_one_clip_are_never_the_same() -> None:
    for seed in SEEDS:
        things = draw_clip(seed, frames=1).things
        assert len(set(things)) == len(things)


def test_things_move_smoothly() -> None:
    clip = draw_clip(12, frames=8)
    for index in range(len(clip.things)):
        areas = clip.masks[:, index].sum(axis=(1, 2)).astype(float)
        assert np.abs(np.diff(areas)).max() <= 0.25 * max(clip.whole_px[0, index], 1)


def test_a_thing_looks_like_its_colour() -> None:
    """Hue may be spoilt by the lens, but the mean colour of a mask stays nearest to its own name."""
    from engines.training.scenes import RGB

    right = total = 0
    for seed in SEEDS:
        clip = draw_clip(seed, frames=1)
        for index, thing in enumerate(clip.things):
            if clip.masks[0, index].sum() < 300:
                continue
            mean = clip.frames[0][clip.masks[0, index]].mean(axis=0)
            nearest = min(COLOURS, key=lambda name: float(np.abs(mean - np.array(RGB[name])).sum()))
            right, total = right + (nearest == thing.colour), total + 1
    assert total > 40
    assert right / total > 0.9


def _matches(expression: Expression, clip: Clip, index: int) -> bool:
    words = expression.text.split()
    thing = clip.things[index]
    colours = [word for word in words if word in COLOURS]
    kinds = [word for word in words if word in KINDS]
    return all(word == thing.colour for word in colours) and all(word == thing.kind for word in kinds)


def test_every_expression_means_exactly_its_targets() -> None:
    said_of_what: set[str] = set()
    for seed in range(120):
        clip = draw_clip(seed, frames=1)
        for expression in expressions(clip, 0, np.random.default_rng(seed)):
            said_of_what.add(expression.kind)
            if expression.kind == "place":
                continue
            meant = {i for i in _visible(clip) if _matches(expression, clip, i)}
            assert meant == set(expression.targets), (seed, expression)
            assert (expression.kind == "absent") == (not expression.targets)
    assert said_of_what == {"colour", "kind", "both", "place", "absent"}


def test_a_place_is_where_it_is_said_to_be() -> None:
    axis = {"left": (1, 1), "right": (1, -1), "top": (0, 1), "bottom": (0, -1)}
    checked = 0
    for seed in range(60):
        clip = draw_clip(seed, frames=1)
        for expression in expressions(clip, 0, np.random.default_rng(seed)):
            if expression.kind != "place":
                continue
            dimension, sign = axis[expression.text.split()[-1]]
            centres = {i: np.nonzero(clip.masks[0, i])[dimension].mean() * sign for i in _visible(clip)}
            assert min(centres, key=lambda i: centres[i]) == expression.targets[0]
            checked += 1
    assert checked > 30


def test_a_mostly_hidden_thing_is_not_talked_about() -> None:
    for seed in range(60):
        clip = draw_clip(seed, frames=1)
        for expression in expressions(clip, 0, np.random.default_rng(seed)):
            for index in expression.targets:
                assert clip.masks[0, index].sum() >= 0.4 * clip.whole_px[0, index]


def test_in_the_demo_something_leaves_and_comes_back() -> None:
    seen = [bool(clip.masks[0, -1].any()) for clip in draw_demo(24, 2, size=(90, 160))]
    gone = seen.index(False)
    assert any(seen[:gone])
    assert any(seen[gone:])


def test_in_the_demo_things_hide_each_other() -> None:
    hidden = [
        float((clip.masks[0].sum(axis=(1, 2)) < 0.6 * clip.whole_px[0])[:3].any())
        for clip in draw_demo(20, 2, size=(90, 160))
    ]
    assert sum(hidden) >= 2
