"""Boxes on first pictures, read by us and by the official package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engines.backends.torch_backend import TorchBackend
from lab.benchmarks import box_prompts
from lab.benchmarks.baselines import official_predictor
from lab.evaluation.box_prompts import OWN_PICTURES, box_of, official_way, our_way, score_boxes
from lab.evaluation.metrics import region_j
from lab.evaluation.real_clips import RealClip, find_real_clips
from lab.fixtures.random_sam2 import bench_weights, random_tracker
from lab.training.world.scenes import draw_clip

DATA = Path(__file__).parents[4] / "shared/data"
REAL = DATA / "weights/sam2_hiera_tiny_image.safetensors"


def test_a_box_is_drawn_tightly() -> None:
    mask = np.zeros((10, 20), np.bool_)
    mask[2:5, 7] = mask[4, 3] = True
    assert box_of(mask) == (3.0, 2.0, 8.0, 5.0)


def test_a_box_means_to_us_what_it_means_to_the_official_package() -> None:
    if importlib.util.find_spec("sam2") is None:
        pytest.skip("the package sam2 is not installed: `make test` does that")
    weights = random_tracker("sam2-tiny", 128)
    picture = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    picture = cv2.GaussianBlur(picture, (31, 31), 0)
    ours = our_way(weights, TorchBackend())
    theirs = official_way(official_predictor(weights, torch.device("cpu")), lambda shown: shown)
    found = [(ours(picture, box), theirs(picture, box)) for box in [(10, 20, 90, 70), (0, 0, 128, 128)]]
    assert all(0.02 < ours.mean() < 0.98 and region_j(ours, theirs) > 0.999 for ours, theirs in found)
    assert region_j(found[0][0], found[1][0]) < 0.99, "boxes matter"


@pytest.mark.skipif(not REAL.is_file(), reason=f"no real weights at {REAL}: ../shared/data is absent")
def test_metas_own_weights_find_the_swan_in_its_box() -> None:
    film = next(film for film in find_real_clips(DATA / "davis") if film.name == "blackswan")
    picture, true = next(film.read()), next(film.truth())
    segment = our_way(bench_weights(REAL), TorchBackend())
    assert region_j(segment(picture, box_of(true)), true) > 0.95


def test_every_way_is_held_against_the_package_picture_by_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("sam2") is None:
        pytest.skip("the package sam2 is not installed: `make test` does that")
    monkeypatch.setattr(box_prompts, "WAYS", (("torch", "float32"),))
    film = drawn_film(tmp_path, pictures=4)
    weights = random_tracker("sam2-tiny", 128)
    first, each = (score_boxes(weights, [film], every, None) for every in (None, 2))
    for scores in (first, each):
        assert [score.engine for score in scores] == ["torch", "sam2", OWN_PICTURES]
        ours, official, _ = scores
        assert (official.furthest, official.agreement) == (0.0, 1.0)
        assert ours.agreement > 0.99 and set(ours.j) == {"drawn"}
    assert first[0].j != each[0].j, "the third picture counts, too"


def drawn_film(folder: Path, pictures: int) -> RealClip:
    clip = draw_clip(7, frames=pictures, size=(96, 128), stride=10)
    names = [folder / f"{index}.png" for index in range(2 * pictures)]
    for index in range(pictures):
        cv2.imwrite(str(names[index]), clip.frames[index][..., ::-1])
        cv2.imwrite(str(names[pictures + index]), clip.masks[index].any(axis=0).astype(np.uint8) * 255)
    return RealClip("drawn", tuple(names[:pictures]), tuple(names[pictures:]))
