"""Laws of the InternVL family. What it computes is held against the published algorithm in test_base.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engines.geometry import to_square
from engines.grounding.families.internvl import InternVl
from engines.grounding.image_processing import bicubic, normalise
from engines.grounding.weight_layout import Place, Stacked
from streaming.errors import CheckpointError
from tests import published


def _config(**changed: Any) -> dict[str, Any]:
    return published.internvl("Qwen2ForCausalLM")[0] | changed


def _family(**changed: Any) -> InternVl:
    return InternVl(_config(**changed), image_id=3)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (90, 160, 3), dtype=np.uint8)


def test_names_are_open_gv_labs() -> None:
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
    assert {name: family.place(name).name for name in names} == names
    fused = family.place("model.vision_tower.encoder.layer.0.attention.k_proj.bias")
    assert fused == Place("vision_model.encoder.layers.0.attn.qkv.bias", 1, Stacked(3))


def test_the_26b_ones_eyes_have_norms_of_queries_and_keys_and_no_bias() -> None:
    """InternViT-6B: RMS norms, `qk_normalization`, no `qkv_bias`."""
    vision = _config()["vision_config"]
    six_b = {"qk_normalization": True, "qkv_bias": False, "norm_type": "rms_norm"}
    family = _family(vision_config=vision | six_b)
    names = {family.place(name).name for name in family.make().state_dict()}
    layer = "vision_model.encoder.layers.0."
    assert {f"{layer}attn.q_norm.weight", f"{layer}attn.k_norm.weight", f"{layer}norm1.weight"} <= names
    assert not names & {f"{layer}attn.qkv.bias", f"{layer}norm1.bias", f"{layer}attn.q_norm.bias"}


def test_a_frame_is_shown_whole_and_a_picture_in_tiles(pixels: np.ndarray) -> None:
    family = _family()
    assert family.prepare(pixels, 1).shape == (1, 3, 56, 56)
    assert torch.equal(family.prepare(pixels, 1), normalise(bicubic(pixels, 56, 56)[None]))
    assert len(family.prepare(pixels, 2)) == 3
    assert torch.equal(family.prepare(pixels, 12)[-1:], family.prepare(pixels, 1))


def test_a_model_that_knows_no_tiles_gets_none(pixels: np.ndarray) -> None:
    assert len(_family(dynamic_image_size=False).prepare(pixels, 12)) == 1


def test_what_was_trained_here_sees_what_it_was_trained_on(pixels: np.ndarray) -> None:
    ours = _family(sam2_config=published.SAM).prepare(pixels, 1)
    assert torch.equal(ours, normalise(to_square(pixels, 56)[None]))


@pytest.mark.parametrize("size", [(1, 1), (6000, 8000), (1, 4000)])
def test_any_picture_can_be_looked_at(size: tuple[int, int]) -> None:
    seen = _family().prepare(np.zeros((*size, 3), dtype=np.uint8), 12)
    assert seen.shape[1:] == (3, 56, 56) and len(seen) <= 13


def test_tokens_of_a_square_are_counted_in_halved_patches() -> None:
    assert _family().image_tokens == 4
    vision = _config()["vision_config"] | {"image_size": 448}
    assert _family(vision_config=vision).image_tokens == 256


def test_only_internlm2_begins_a_text() -> None:
    assert _family().marks.begin == ""
    assert InternVl(published.internvl("InternLM2ForCausalLM")[0], 3).marks.begin == "<s>"


@pytest.mark.parametrize(("key", "value"), [("select_layer", -4), ("ps_version", "v1"), ("use_llm_lora", 16)])
def test_what_no_published_checkpoint_says_is_refused(key: str, value: object) -> None:
    with pytest.raises(CheckpointError, match=key):
        _family(**{key: value}).make()


def test_a_language_model_that_is_not_read_is_named() -> None:
    with pytest.raises(CheckpointError, match="Phi3ForCausalLM"):
        _family(llm_config={"architectures": ["Phi3ForCausalLM"]}).make()
