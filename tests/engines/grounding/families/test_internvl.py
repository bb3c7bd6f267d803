"""Laws of the InternVL family. test_base.py compares its results with the published algorithm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engines.geometry import to_square
from engines.grounding.families.internvl import InternVl
from engines.grounding.image_processing import bicubic, normalise
from engines.grounding.weight_layout import PublishedTensor, Stacked
from streaming.errors import CheckpointError
from tests import published


def _config(**changed: Any) -> dict[str, Any]:
    return published.internvl("Qwen2ForCausalLM")[0] | changed


def _family(**changed: Any) -> InternVl:
    return InternVl(_config(**changed), image_id=3)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (90, 160, 3), dtype=np.uint8)


def test_names_are_those_of_opengvlab() -> None:
    family = _family()
    ours, theirs = "model.vision_tower.encoder.layer.4.", "vision_model.encoder.layers.4."
    text = "language_model.layers.0.mlp.up_proj.weight"
    names = {
        "model.vision_tower.embeddings.cls_token": "vision_model.embeddings.class_embedding",
        f"{ours}attention.projection_layer.weight": f"{theirs}attn.proj.weight",
        f"{ours}attention.q_norm.weight": f"{theirs}attn.q_norm.weight",
        f"{ours}layernorm_after.weight": f"{theirs}norm2.weight",
        f"{ours}lambda_1": f"{theirs}ls1",
        "model.multi_modal_projector.linear_2.bias": "mlp1.3.bias",
        f"model.{text}": f"language_model.model.{text.removeprefix('language_model.')}",
        "lm_head.weight": "language_model.lm_head.weight",
    }
    assert {name: family.published_tensor(name).name for name in names} == names
    fused = family.published_tensor("model.vision_tower.encoder.layer.0.attention.k_proj.bias")
    assert fused == PublishedTensor("vision_model.encoder.layers.0.attn.qkv.bias", 1, Stacked(3))


def test_intern_vit_6b_has_qk_norms_and_no_qkv_bias() -> None:
    """InternViT-6B: RMS norms, `qk_normalization`, no `qkv_bias`."""
    vision = _config()["vision_config"]
    six_b = {"qk_normalization": True, "qkv_bias": False, "norm_type": "rms_norm"}
    family = _family(vision_config=vision | six_b)
    names = {family.published_tensor(name).name for name in family.make().state_dict()}
    layer = "vision_model.encoder.layers.0."
    assert {f"{layer}attn.q_norm.weight", f"{layer}attn.k_norm.weight", f"{layer}norm1.weight"} <= names
    assert not names & {f"{layer}attn.qkv.bias", f"{layer}norm1.bias", f"{layer}attn.q_norm.bias"}


def test_one_tile_is_the_whole_image_and_several_end_with_it(pixels: np.ndarray) -> None:
    family = _family()
    assert family.preprocess(pixels, 1).shape == (1, 3, 56, 56)
    assert torch.equal(family.preprocess(pixels, 1), normalise(bicubic(pixels, 56, 56)[None]))
    assert len(family.preprocess(pixels, 2)) == 3
    assert torch.equal(family.preprocess(pixels, 12)[-1:], family.preprocess(pixels, 1))


def test_a_model_without_dynamic_image_size_has_one_tile(pixels: np.ndarray) -> None:
    assert len(_family(dynamic_image_size=False).preprocess(pixels, 12)) == 1


def test_models_trained_here_are_resized_as_in_training(pixels: np.ndarray) -> None:
    ours = _family(sam2_config=published.SAM).preprocess(pixels, 1)
    assert torch.equal(ours, normalise(to_square(pixels, 56)[None]))


@pytest.mark.parametrize("size", [(1, 1), (6000, 8000), (1, 4000)])
def test_images_of_any_size_are_preprocessed(size: tuple[int, int]) -> None:
    tiles = _family().preprocess(np.zeros((*size, 3), dtype=np.uint8), 12)
    assert tiles.shape[1:] == (3, 56, 56) and len(tiles) <= 13


def test_the_number_of_image_tokens_follows_the_downsample_ratio() -> None:
    assert _family().image_tokens == 4
    vision = _config()["vision_config"] | {"image_size": 448}
    assert _family(vision_config=vision).image_tokens == 256


def test_only_internlm2_has_a_bos_token() -> None:
    assert _family().special_tokens.bos == ""
    assert InternVl(published.internvl("InternLM2ForCausalLM")[0], 3).special_tokens.bos == "<s>"


@pytest.mark.parametrize(("key", "value"), [("select_layer", -4), ("ps_version", "v1"), ("use_llm_lora", 16)])
def test_unsupported_config_values_are_a_checkpoint_error(key: str, value: object) -> None:
    with pytest.raises(CheckpointError, match=key):
        _family(**{key: value}).make()


def test_an_unsupported_language_model_is_named() -> None:
    with pytest.raises(CheckpointError, match="Phi3ForCausalLM"):
        _family(llm_config={"architectures": ["Phi3ForCausalLM"]}).make()
