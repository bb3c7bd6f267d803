"""Laws of what a caption's phrase names."""

from __future__ import annotations

import numpy as np
import pytest

from lab.evaluation.phrases import objects_named_by
from lab.training.language.captions import generate_caption
from lab.training.language.frame_facts import FrameFacts
from lab.training.scene_description import ObjectLabel
from lab.training.world.holdout import Split, vocabulary_of
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import Clip, draw_clip

THINGS = (
    ObjectLabel("cup", "red"),
    ObjectLabel("cup", "red"),
    ObjectLabel("dog", "blue"),
    ObjectLabel("person", "green"),
)


@pytest.fixture(scope="module")
def view() -> FrameFacts:
    """Four things in a row, all clearly seen."""
    return FrameFacts(in_a_row(THINGS, [8] * 4), 0)


def in_a_row(things: tuple[ObjectLabel, ...], widths: list[int]) -> Clip:
    """Things of 8 by 8 pixels in a picture of 16 by 64, of which so many columns are seen."""
    count = len(things)
    masks = np.zeros((1, count, 16, 64), np.bool_)
    for index, width in enumerate(widths):
        masks[0, index, 4:12, 16 * index : 16 * index + width] = True
    return Clip(
        frames=np.zeros((1, 16, 64, 3), np.uint8),
        masks=masks,
        amodal_area_px=np.full((1, count), 64, np.float32),
        occluded_px=np.zeros((1, count, count), np.float32),
        centres_px=np.zeros((1, count, 2), np.float32),
        boxes_px=np.zeros((1, count, 4), np.float32),
        world_centres_px=np.zeros((1, count, 2), np.float32),
        labels=things,
        step_s=1 / 30,
        vocabulary=vocabulary_of(CURRICULUM[-1], Split.TRAINING),
        seed=0,
        level=CURRICULUM[-1],
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
def test_a_true_phrase_names_what_it_may_mean(
    phrase: str, things: list[tuple[int, ...]], view: FrameFacts
) -> None:
    assert objects_named_by(phrase, view) == things


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
def test_what_is_not_there_in_that_number_is_not_named(phrase: str, view: FrameFacts) -> None:
    assert objects_named_by(phrase, view) == []


@pytest.mark.parametrize(
    "phrase",
    ["", "a", "dog", "the", "a red", "a red blue dog", "a dog red", "a unicorn", "some dogs", "a in red"],
)
def test_what_is_no_name_names_nothing(phrase: str, view: FrameFacts) -> None:
    assert objects_named_by(phrase, view) == []


def test_what_is_hardly_seen_may_be_counted_or_not() -> None:
    view = FrameFacts(in_a_row(THINGS, [8, 1, 8, 8]), 0)
    assert view.barely_visible == (1,)
    assert objects_named_by("a red cup", view) == [(0,), (1,)]
    assert objects_named_by("two red cups", view) == [(0, 1)]
    assert objects_named_by("two red things", view) == [(0, 1)]


@pytest.mark.parametrize("level", CURRICULUM, ids=lambda level: level.name)
def test_every_caption_of_the_world_is_read_as_it_was_meant(level: object) -> None:
    read = 0
    for seed in range(Split.UNSEEN.first_seed, Split.UNSEEN.first_seed + 12):
        clip = draw_clip(seed, frames=1, level=level)
        told = generate_caption(clip, 0, np.random.default_rng(seed))
        for phrase in told.phrases if told else ():
            assert phrase.referents in objects_named_by(phrase.text, FrameFacts(clip, 0)), phrase.text
            read += 1
    assert read > 12
