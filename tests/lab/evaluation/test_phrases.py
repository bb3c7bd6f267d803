"""Laws of what a caption's phrase names."""

from __future__ import annotations

import numpy as np
import pytest

from lab.evaluation.phrases import named_by
from lab.training.language.captions import caption
from lab.training.language.view import View
from lab.training.world.catalogue import Thing
from lab.training.world.holdout import Split
from lab.training.world.levels import LADDER
from lab.training.world.scenes import Clip, draw_clip

THINGS = (Thing("cup", "red"), Thing("cup", "red"), Thing("dog", "blue"), Thing("person", "green"))


@pytest.fixture(scope="module")
def view() -> View:
    """Four things in a row, all clearly seen."""
    return View(in_a_row(THINGS, [8] * 4), 0)


def in_a_row(things: tuple[Thing, ...], widths: list[int]) -> Clip:
    """Things of 8 by 8 pixels in a picture of 16 by 64, of which so many columns are seen."""
    count = len(things)
    masks = np.zeros((1, count, 16, 64), np.bool_)
    for index, width in enumerate(widths):
        masks[0, index, 4:12, 16 * index : 16 * index + width] = True
    return Clip(
        frames=np.zeros((1, 16, 64, 3), np.uint8),
        masks=masks,
        whole_px=np.full((1, count), 64, np.float32),
        covered_px=np.zeros((1, count, count), np.float32),
        centres=np.zeros((1, count, 2), np.float32),
        boxes=np.zeros((1, count, 4), np.float32),
        paths=np.zeros((1, count, 2), np.float32),
        things=things,
        step_s=1 / 30,
        seed=0,
        level=LADDER[-1],
    )


@pytest.mark.parametrize(
    ("phrase", "things"),
    [
        ("a blue dog", [(2,)]),
        ("the dog", [(2,)]),
        ("One Dog", [(2,)]),
        ("a person in green", [(3,)]),
        ("a blue thing", [(2,)]),
        ("a red cup", [(0,), (1,)]),
        ("two red cups", [(0, 1)]),
        ("two cups", [(0, 1)]),
        ("four things", [(0, 1, 2, 3)]),
    ],
)
def test_a_true_phrase_names_what_it_may_mean(phrase: str, things: list[tuple[int, ...]], view: View) -> None:
    assert named_by(phrase, view) == things


@pytest.mark.parametrize(
    "phrase",
    [
        "a red dog",
        "a star",
        "three red cups",
        "two dogs",
        "zero cups",
        "a person in red",
        "two people in green",
    ],
)
def test_what_is_not_there_in_that_number_is_not_named(phrase: str, view: View) -> None:
    assert named_by(phrase, view) == []


@pytest.mark.parametrize(
    "phrase",
    ["", "a", "dog", "the", "a red", "a red blue dog", "a dog red", "a unicorn", "some dogs", "a in red"],
)
def test_what_is_no_name_names_nothing(phrase: str, view: View) -> None:
    assert named_by(phrase, view) == []


def test_what_is_hardly_seen_may_be_counted_or_not() -> None:
    view = View(in_a_row(THINGS, [8, 1, 8, 8]), 0)
    assert view.doubtful == (1,)
    assert named_by("a red cup", view) == [(0,), (1,)]
    assert named_by("two red cups", view) == [(0, 1)]
    assert named_by("two red things", view) == [(0, 1)]


@pytest.mark.parametrize("level", LADDER, ids=lambda level: level.name)
def test_every_caption_of_the_world_is_read_as_it_was_meant(level: object) -> None:
    read = 0
    for seed in range(Split.UNSEEN.first_seed, Split.UNSEEN.first_seed + 12):
        clip = draw_clip(seed, frames=1, level=level)
        told = caption(clip, 0, np.random.default_rng(seed))
        for phrase in told.phrases if told else ():
            assert phrase.targets in named_by(phrase.text, View(clip, 0)), phrase.text
            read += 1
    assert read > 12
