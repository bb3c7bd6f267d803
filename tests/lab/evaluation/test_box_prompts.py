"""Box prompts on every backend and by the official package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engines.backends.torch_backend import TorchBackend
from lab.benchmarks.baselines import official_predictor
from lab.evaluation import box_prompts
from lab.evaluation.box_prompts import (
    OWN_RESIZE,
    bounding_box,
    official_segmenter,
    saccade_segmenter,
    score_boxes,
)
from lab.evaluation.metrics import region_j
from lab.evaluation.real_clips import RealClip, find_real_clips
from lab.fixtures.random_sam2 import bench_weights, random_tracker
from lab.training.world.scenes import draw_clip

DATA = Path(__file__).parents[4] / "shared/data"
REAL = DATA / "weights/sam2_hiera_tiny_image.safetensors"


def test_a_bounding_box_is_tight() -> None:
    mask = np.zeros((10, 20), np.bool_)
    mask[2:5, 7] = mask[4, 3] = True
    assert bounding_box(mask) == (3.0, 2.0, 8.0, 5.0)


def test_a_box_prompt_gives_the_official_packages_mask() -> None:
    if importlib.util.find_spec("sam2") is None:
        pytest.skip("the package sam2 is not installed: `make test` does that")
    weights = random_tracker("sam2-tiny", 128)
    frame = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    frame = cv2.GaussianBlur(frame, (31, 31), 0)
    ours = saccade_segmenter(weights, TorchBackend())
    theirs = official_segmenter(official_predictor(weights, torch.device("cpu")), lambda shown: shown)
    found = [(ours(frame, box), theirs(frame, box)) for box in [(10, 20, 90, 70), (0, 0, 128, 128)]]
    assert all(0.02 < ours.mean() < 0.98 and region_j(ours, theirs) > 0.999 for ours, theirs in found)
    assert region_j(found[0][0], found[1][0]) < 0.99, "boxes matter"


@pytest.mark.skipif(not REAL.is_file(), reason=f"no real weights at {REAL}: ../shared/data is absent")
def test_published_weights_segment_the_swan_in_its_box() -> None:
    clip = next(clip for clip in find_real_clips(DATA / "davis") if clip.name == "blackswan")
    frame, true = next(clip.read()), next(clip.truth())
    segment = saccade_segmenter(bench_weights(REAL), TorchBackend())
    assert region_j(segment(frame, bounding_box(true)), true) > 0.95


def test_every_engine_is_compared_with_the_package_frame_by_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("sam2") is None:
        pytest.skip("the package sam2 is not installed: `make test` does that")
    monkeypatch.setattr(box_prompts, "BACKENDS", (("torch", "float32"),))
    clip = drawn_clip(tmp_path, frames=4)
    weights = random_tracker("sam2-tiny", 128)
    first, each = (score_boxes(weights, [clip], every, None) for every in (None, 2))
    for scores in (first, each):
        assert [score.engine for score in scores] == ["torch", "sam2", OWN_RESIZE]
        ours, official, _ = scores
        assert (official.furthest, official.agreement) == (0.0, 1.0)
        assert ours.agreement > 0.99 and set(ours.j) == {"drawn"}
    assert first[0].j != each[0].j, "the third frame counts too"


def drawn_clip(folder: Path, frames: int) -> RealClip:
    clip = draw_clip(7, frames=frames, size=(96, 128), stride=10)
    names = [folder / f"{index}.png" for index in range(2 * frames)]
    for index in range(frames):
        cv2.imwrite(str(names[index]), clip.frames[index][..., ::-1])
        cv2.imwrite(str(names[frames + index]), clip.masks[index].any(axis=0).astype(np.uint8) * 255)
    return RealClip("drawn", tuple(names[:frames]), tuple(names[frames:]))
