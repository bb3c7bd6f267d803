"""Laws of the Qwen family. test_base.py compares its results with the published algorithm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from engines.grounding.families.qwen import PIXELS, VERSIONS, Qwen
from streaming.errors import CheckpointError, InvalidQuery
from tests import published

IMAGE = 7


def _family(version: str, **changed: Any) -> Qwen:
    return Qwen(published.qwen(version)[0] | changed, IMAGE)


def _image(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(2).integers(0, 255, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return np.repeat(np.repeat(noise, 8, axis=0), 8, axis=1)[:height, :width]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [(360, 640), (1500, 2500), (700, 700)])
def test_preprocess_equals_the_image_processor_of_transformers(version: str, size: tuple[int, int]) -> None:
    """But for rounding: about 1 % of pixels differ by one level of 256, hardly any by two."""
    family, pixels, kind = _family(version), _image(*size), VERSIONS[version]
    stock = Qwen2VLImageProcessorPil(
        patch_size=family.config["vision_config"]["patch_size"],
        image_mean=kind.mean,
        image_std=kind.std,
        size={"shortest_edge": PIXELS[0], "longest_edge": PIXELS[1]},
    )(pixels, return_tensors="pt")
    prepared = family.preprocess(pixels, 1)
    patches = family._patches(prepared)
    assert stock["image_grid_thw"].tolist() == [
        [1, *(side // family.config["vision_config"]["patch_size"] for side in prepared.shape[2:])]
    ]
    level = 1 / 255 / min(kind.std)
    off = (patches - stock["pixel_values"]).abs() / level
    assert off.max() < 2.01 and (off > 0.5).float().mean() < 0.02


@pytest.mark.parametrize("version", VERSIONS)
def test_position_ids_equal_those_of_transformers(version: str) -> None:
    """Two images of different sizes among text."""
    family = _family(version)
    cell = 2 * family.config["vision_config"]["patch_size"]
    ids = [1, 2, *[IMAGE] * 12, 3, *[IMAGE] * 10, 4, 5, 6]
    sizes = [(3 * cell, 4 * cell), (5 * cell, 2 * cell)]
    theirs, _ = family.make().model.get_rope_index(
        torch.tensor([ids]),
        torch.tensor([[int(token == IMAGE) for token in ids]]),
        torch.tensor([[1, 6, 8], [1, 10, 4]]),
    )
    assert torch.equal(family.position_ids(ids, IMAGE, sizes), theirs[:, 0])
    assert [family.token_count(*size) for size in sizes] == [12, 10]


def test_images_of_a_batch_have_the_features_of_single_images() -> None:
    torch.manual_seed(0)
    family = _family("qwen3_vl")
    mllm = family.make().eval()
    pixels = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        both, second = family.encode_images(mllm, pixels), family.encode_images(mllm, pixels[1:])
    assert both.tokens.shape == (2, 6, published.WIDTH) and len(both.deepstack) == 2
    torch.testing.assert_close(both.tokens[1:], second.tokens, atol=1e-5, rtol=0)
    torch.testing.assert_close(both.deepstack[1][1:], second.deepstack[1], atol=1e-5, rtol=0)


def test_published_names_have_the_prefix_model() -> None:
    assert _family("qwen3_vl").published_tensor("lm_head.weight").name == "model.lm_head.weight"


def test_an_extreme_aspect_ratio_is_an_invalid_query() -> None:
    with pytest.raises(InvalidQuery, match="1x400"):
        _family("qwen2_5_vl").preprocess(np.zeros((400, 1, 3), dtype=np.uint8), 1)


def test_large_images_stay_within_the_budget() -> None:
    prepared = _family("qwen2_5_vl").preprocess(np.zeros((6000, 8000, 3), dtype=np.uint8), 1)
    assert PIXELS[0] <= prepared.shape[2] * prepared.shape[3] <= PIXELS[1]


def test_an_unsupported_language_model_is_named() -> None:
    with pytest.raises(CheckpointError, match="qwen2_vl"):
        _family("qwen2_5_vl", text_config={"model_type": "qwen2_vl_text"}).make()
