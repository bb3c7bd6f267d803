"""The bundled clip and its truth."""

from pathlib import Path

import numpy as np
import pytest

from actors import demo_scene
from actors.demo_scene import CLIP, load_truth
from streaming.sources.clip import open_clip


def test_the_truth_speaks_of_every_picture_of_the_clip() -> None:
    truth = load_truth()
    with open_clip(str(CLIP)) as reader:
        pictures = sum(picture is not None for picture in reader.pictures())
    assert pictures == len(truth.masks)
    assert all(len(frame) == len(truth.things) for frame in truth.masks)


def test_the_red_circle_is_red_in_the_clip() -> None:
    truth = load_truth()
    with open_clip(str(CLIP)) as reader:
        picture = next(picture for picture in reader.pictures() if picture is not None)
    inside = picture.pixels[truth.mask_of("the red circle", 0)]
    assert inside.mean(axis=0).argmax() == 0
    assert len(inside) > 5_000


def test_words_mean_what_has_all_of_them() -> None:
    truth = load_truth()
    star = truth.mask_of("the yellow star", 0)
    assert (truth.mask_of("the star", 0) == star).all()
    assert (truth.mask_of("the yellow one", 0) == star).all()
    assert not truth.mask_of("the white star", 0).any()


def test_the_scene_has_what_a_tracker_should_survive() -> None:
    truth = load_truth()
    areas = np.array(
        [truth.mask_of("the red circle", frame).sum() for frame in range(0, len(truth.masks), 5)]
    )
    away = areas == 0
    assert away.any() and not away.all()
    assert np.flatnonzero(away).min() < np.flatnonzero(~away).max(), "it leaves and comes back"


def test_the_clip_is_small_enough_for_git() -> None:
    assert CLIP.stat().st_size <= 3_000_000


def test_a_scene_drawn_again_has_the_same_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_scene, "SECONDS", 0.2)
    for name in ("a", "b"):
        demo_scene.render(tmp_path / f"{name}.mp4", tmp_path / f"{name}.gz")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
