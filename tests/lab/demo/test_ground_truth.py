"""The bundled clip and its ground truth."""

from dataclasses import replace

import numpy as np
import pytest

from engines.masks import encode_mask
from lab.demo.ground_truth import CLIP, UNKNOWN, GroundTruth, load_ground_truth
from streaming.sources.clip import open_clip


def test_every_frame_of_the_clip_has_a_mask_of_every_object() -> None:
    truth = load_ground_truth()
    with open_clip(str(CLIP)) as reader:
        frames = sum(frame is not None for frame in reader.frames())
    assert frames == len(truth.masks)
    assert all(len(frame) == len(truth.objects) for frame in truth.masks)


def test_the_first_phrase_refers_to_a_red_object() -> None:
    truth, first = load_ground_truth(), first_phrase()
    assert "red" in first.split()
    with open_clip(str(CLIP)) as reader:
        frame = next(frame for frame in reader.frames() if frame is not None)
    inside = frame.pixels[truth.mask_of(first, 0)]
    assert inside.mean(axis=0).argmax() == 0
    assert len(inside) > 3_000


def test_the_first_phrases_object_leaves_and_returns() -> None:
    truth, first = load_ground_truth(), first_phrase()
    areas = np.array([truth.mask_of(first, frame).sum() for frame in range(0, len(truth.masks), 5)])
    away = areas == 0
    assert away.any() and not away.all()
    assert np.flatnonzero(away).min() < np.flatnonzero(~away).max()


def test_there_are_five_phrases_and_some_have_no_referent() -> None:
    phrases = load_ground_truth().phrases
    assert len(phrases) >= 5
    assert [text for text, expected in phrases.items() if not expected]


def first_phrase() -> str:
    return next(iter(load_ground_truth().phrases))


THREE_PIXELS = GroundTruth(
    30.0,
    ("red car", "blue car", "person in yellow"),
    (tuple(encode_mask(np.eye(3, dtype=bool)[None, row]) for row in range(3)),),
    {"the car moving left": (1,), "all vehicles": (0, 1), "the blue thing that is not there": ()},
)
"Three objects of one pixel each, side by side."


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("the red car", [1, 0, 0]),
        ("the car", [1, 1, 0]),
        ("the blue one", [0, 1, 0]),
        ("the person in yellow", [0, 0, 1]),
        ("the white car", [0, 0, 0]),
        ("the", [0, 0, 0]),
    ],
)
def test_an_expression_refers_to_objects_with_all_its_words(words: str, expected: list[int]) -> None:
    assert THREE_PIXELS.mask_of(words, 0).tolist() == [[bool(part) for part in expected]]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("the car moving left", [0, 1, 0]),
        ("all vehicles", [1, 1, 0]),
        ("the blue thing that is not there", [0, 0, 0]),
    ],
)
def test_a_phrase_has_the_referents_that_the_file_names(words: str, expected: list[int]) -> None:
    assert THREE_PIXELS.mask_of(words, 0).tolist() == [[bool(part) for part in expected]]


def test_what_a_phrase_refers_to_is_unknown_in_its_unjudged_stretches() -> None:
    truth = replace(THREE_PIXELS, masks=THREE_PIXELS.masks * 4, unjudged={"all vehicles": ((1, 2),)})
    assert [truth.is_known("all vehicles", frame) for frame in range(6)] == [
        True,
        False,
        False,
        True,
        True,
        False,
    ]
    assert truth.is_known("the car moving left", 1) and truth.is_known("the red car", 1)
    assert not replace(truth, complete=False).is_known("the red car", 1)
    assert not UNKNOWN.is_known("the car", 0)


def test_the_clip_is_small_enough_for_git() -> None:
    assert CLIP.stat().st_size <= 3_000_000
