"""The objects that a caption's phrase can mean."""

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

OBJECTS = (
    ObjectLabel("cup", "red"),
    ObjectLabel("cup", "red"),
    ObjectLabel("dog", "blue"),
    ObjectLabel("person", "green"),
)


@pytest.fixture(scope="module")
def facts() -> FrameFacts:
    """Four objects in a row, all clearly visible."""
    return FrameFacts(in_a_row(OBJECTS, [8] * 4), 0)


def in_a_row(objects: tuple[ObjectLabel, ...], widths: list[int]) -> Clip:
    """Objects of 8x8 pixels in a frame of 16x64 pixels, of which so many columns are visible."""
    count = len(objects)
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
        labels=objects,
        step_s=1 / 30,
        vocabulary=vocabulary_of(CURRICULUM[-1], Split.TRAINING),
        seed=0,
        level=CURRICULUM[-1],
    )


@pytest.mark.parametrize(
    ("phrase", "objects"),
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
def test_a_true_phrase_returns_all_its_meanings(
    phrase: str, objects: list[tuple[int, ...]], facts: FrameFacts
) -> None:
    assert objects_named_by(phrase, facts) == objects


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
def test_a_phrase_with_a_wrong_number_has_no_meaning(phrase: str, facts: FrameFacts) -> None:
    assert objects_named_by(phrase, facts) == []


@pytest.mark.parametrize(
    "phrase",
    ["", "a", "dog", "the", "a red", "a red blue dog", "a dog red", "a unicorn", "some dogs", "a in red"],
)
def test_other_words_have_no_meaning(phrase: str, facts: FrameFacts) -> None:
    assert objects_named_by(phrase, facts) == []


def test_barely_visible_objects_may_be_counted_or_not() -> None:
    facts = FrameFacts(in_a_row(OBJECTS, [8, 1, 8, 8]), 0)
    assert facts.barely_visible == (1,)
    assert objects_named_by("a red cup", facts) == [(0,), (1,)]
    assert objects_named_by("two red cups", facts) == [(0, 1)]
    assert objects_named_by("two red things", facts) == [(0, 1)]


@pytest.mark.parametrize("level", CURRICULUM, ids=lambda level: level.name)
def test_every_generated_caption_is_parsed_to_its_objects(level: object) -> None:
    read = 0
    for seed in range(Split.UNSEEN.first_seed, Split.UNSEEN.first_seed + 12):
        clip = draw_clip(seed, frames=1, level=level)
        caption = generate_caption(clip, 0, np.random.default_rng(seed))
        for phrase in caption.phrases if caption else ():
            assert phrase.referents in objects_named_by(phrase.text, FrameFacts(clip, 0)), phrase.text
            read += 1
    assert read > 12
