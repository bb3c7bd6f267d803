"""The bundled clip and its truth."""

from pathlib import Path

import numpy as np
import pytest

from engines.masks import encode_mask
from lab.demo import scene
from lab.demo.scene import CLIP, Truth, load_truth
from streaming.sources.clip import open_clip


def test_the_truth_speaks_of_every_picture_of_the_clip() -> None:
    truth = load_truth()
    with open_clip(str(CLIP)) as reader:
        pictures = sum(picture is not None for picture in reader.frames())
    assert pictures == len(truth.masks)
    assert all(len(frame) == len(truth.things) for frame in truth.masks)


def test_what_is_offered_first_is_red_in_the_clip() -> None:
    truth, first = load_truth(), first_offer()
    assert "red" in first.split()
    with open_clip(str(CLIP)) as reader:
        picture = next(picture for picture in reader.frames() if picture is not None)
    inside = picture.pixels[truth.mask_of(first, 0)]
    assert inside.mean(axis=0).argmax() == 0
    assert len(inside) > 3_000


def test_what_is_offered_first_leaves_and_comes_back() -> None:
    truth, first = load_truth(), first_offer()
    areas = np.array([truth.mask_of(first, frame).sum() for frame in range(0, len(truth.masks), 5)])
    away = areas == 0
    assert away.any() and not away.all()
    assert np.flatnonzero(away).min() < np.flatnonzero(~away).max()


def test_at_least_five_phrases_are_offered_and_one_of_them_means_nothing() -> None:
    phrases = load_truth().phrases
    assert len(phrases) >= 5
    assert [text for text, meaning in phrases.items() if not meaning]


def first_offer() -> str:
    return next(iter(load_truth().phrases))


SMALL = Truth(
    30.0,
    ("red car", "blue car", "person in yellow"),
    (tuple(encode_mask(np.eye(3, dtype=bool)[None, row]) for row in range(3)),),
    {"the car moving left": (1,), "all vehicles": (0, 1), "the blue thing that is not there": ()},
)
"Three things of one pixel each, side by side."


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("the red car", [1, 0, 0]),
        ("the car", [1, 1, 0]),
        ("the blue one", [0, 1, 0]),
        ("the person in yellow", [0, 0, 1]),
        ("the white car", [0, 0, 0]),
        ("the", [0, 0, 0]),
    ],
)
def test_words_mean_what_has_all_of_them(words: str, meaning: list[int]) -> None:
    assert SMALL.mask_of(words, 0).tolist() == [[bool(part) for part in meaning]]


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("the car moving left", [0, 1, 0]),
        ("all vehicles", [1, 1, 0]),
        ("the blue thing that is not there", [0, 0, 0]),
    ],
)
def test_a_phrase_of_the_scene_means_what_the_scene_says(words: str, meaning: list[int]) -> None:
    assert SMALL.mask_of(words, 0).tolist() == [[bool(part) for part in meaning]]


def test_the_clip_is_small_enough_for_git() -> None:
    assert CLIP.stat().st_size <= 3_000_000


def test_a_scene_drawn_again_has_the_same_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene, "SECONDS", 0.2)
    for name in ("a", "b"):
        scene.render(tmp_path / f"{name}.mp4", tmp_path / f"{name}.gz")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
