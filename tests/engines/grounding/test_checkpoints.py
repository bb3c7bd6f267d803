"""Laws of checkpoints in the published layout."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engines.grounding.checkpoints import (
    HIERA_LARGE,
    WEIGHTS_FILE,
    RunOptions,
    Sa2Va,
    load_sa2va,
)
from engines.grounding.structure import RefinementKind
from lab.training.export import save_sa2va
from lab.training.initial_weights import initial_grounder
from streaming.errors import CheckpointError, NotFound
from tests import published


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    return initial_grounder(4)


@pytest.fixture
def saved(nano: Sa2Va, tmp_path: Path) -> Path:
    save_sa2va(nano, tmp_path)
    return tmp_path


def test_every_weight_survives_saving_and_loading(nano: Sa2Va, saved: Path) -> None:
    loaded = load_sa2va(saved).model.state_dict()
    for name, tensor in nano.model.state_dict().items():
        assert torch.equal(loaded[name], tensor.half().float()), name


@pytest.mark.parametrize("kind", RefinementKind)
def test_a_refinement_is_loaded_if_the_checkpoint_has_one(kind: RefinementKind, tmp_path: Path) -> None:
    refined = initial_grounder(4)
    refined.model.add_refinement(kind)
    save_sa2va(Sa2Va(refined.model, refined.template, {**refined.config, "structure": kind.value}), tmp_path)
    loaded = load_sa2va(tmp_path).model
    assert type(loaded.structure) is type(refined.model.structure)
    weight = refined.model.state_dict()["structure.norm.weight"]
    assert torch.equal(loaded.state_dict()["structure.norm.weight"], weight)


def test_without_a_refinement_in_the_checkpoint_there_is_none(saved: Path) -> None:
    assert load_sa2va(saved).model.structure is None


def test_an_unknown_refinement_is_a_checkpoint_error(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "structure": "crystal ball"}))
    with pytest.raises(CheckpointError, match="crystal ball"):
        load_sa2va(saved)


def test_tensors_have_the_published_names(saved: Path) -> None:
    names = load_file(saved / WEIGHTS_FILE).keys()
    for name in (
        "vision_model.embeddings.class_embedding",
        "vision_model.embeddings.position_embedding",
        "vision_model.encoder.layers.0.attn.qkv.weight",
        "vision_model.encoder.layers.0.attn.proj.bias",
        "vision_model.encoder.layers.1.norm1.weight",
        "vision_model.encoder.layers.1.ls2",
        "vision_model.encoder.layers.1.mlp.fc1.weight",
        "mlp1.0.weight",
        "mlp1.1.weight",
        "mlp1.3.bias",
        "language_model.model.embed_tokens.weight",
        "language_model.model.layers.3.self_attn.q_proj.bias",
        "language_model.model.norm.weight",
        "language_model.lm_head.weight",
        "text_hidden_fcs.0.weight",
        "text_hidden_fcs.2.bias",
        "grounding_encoder.sam2_model.image_encoder.trunk.blocks.0.attn.qkv.weight",
        "grounding_encoder.sam2_model.sam_mask_decoder.transformer.layers.0.self_attn.q_proj.weight",
        "grounding_encoder.sam2_model.sam_prompt_encoder.point_embeddings.3.weight",
        "grounding_encoder.sam2_model.no_mem_embed",
    ):
        assert name in names


def test_memory_tensors_of_a_published_sam_are_skipped(nano: Sa2Va, saved: Path) -> None:
    tensors = load_file(saved / WEIGHTS_FILE)
    tensors["grounding_encoder.sam2_model.memory_attention.norm.weight"] = torch.zeros(3)
    tensors["grounding_encoder.sam2_model.maskmem_tpos_enc"] = torch.zeros(3)
    save_file(tensors, saved / WEIGHTS_FILE)
    load_sa2va(saved)


def test_a_missing_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load_sa2va(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", WEIGHTS_FILE])
def test_a_broken_file_is_a_checkpoint_error(saved: Path, name: str) -> None:
    (saved / name).write_bytes(b"\x00 not this")
    with pytest.raises(CheckpointError):
        load_sa2va(saved)


@pytest.mark.parametrize("name", ["tokenizer.json", WEIGHTS_FILE])
def test_a_missing_file_is_a_checkpoint_error(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(CheckpointError):
        load_sa2va(saved)


def test_an_unsupported_architecture_is_a_checkpoint_error(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    config["llm_config"]["architectures"] = ["Phi3ForCausalLM"]
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="Phi3ForCausalLM"):
        load_sa2va(saved)


def test_an_invalid_config_is_a_checkpoint_error(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    for broken in (
        [config],
        {key: value for key, value in config.items() if key != "vision_config"},
        {**config, "vision_config": {"hidden_size": "many"}},
        {**config, "llm_config": {**config["llm_config"], "hidden_size": -3}},
    ):
        (saved / "config.json").write_text(json.dumps(broken))
        with pytest.raises(CheckpointError, match=r"config\.json"):
            load_sa2va(saved)


def test_a_truncated_weights_file_is_a_checkpoint_error(saved: Path) -> None:
    (saved / WEIGHTS_FILE).write_bytes((saved / WEIGHTS_FILE).read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="Copy the checkpoint anew"):
        load_sa2va(saved)


def test_bfloat16_masks_agree_where_logits_are_not_near_zero(tmp_path: Path) -> None:
    """With random weights, whose logits are small."""
    published.write("internvl-qwen2", tmp_path)
    whole, half = (load_sa2va(tmp_path, RunOptions(dtype=dtype)).model for dtype in ("float32", "bfloat16"))
    torch.manual_seed(0)
    pixels, prompts = (
        torch.randn(1, 3, published.SAM_PX, published.SAM_PX),
        torch.randn(1, 1, published.PROMPT),
    )
    masks = [
        model.decode_masks(tuple(one.float() for one in model.feature_maps(pixels)), prompts)[0]
        for model in (whole, half)
    ]
    clear = masks[0].abs() > 0.2
    assert (masks[0] > 0)[clear].eq((masks[1] > 0)[clear]).float().mean() > 0.97


def test_the_default_dtype_is_float32_whatever_the_file_has(tmp_path: Path) -> None:
    published.write("internvl-qwen2", tmp_path)
    halves = {name: tensor.bfloat16() for name, tensor in load_file(tmp_path / WEIGHTS_FILE).items()}
    save_file(halves, tmp_path / WEIGHTS_FILE)
    kinds = {weight.dtype for weight in load_sa2va(tmp_path).model.parameters()}
    assert kinds == {torch.float32}


def test_the_default_presence_threshold_depends_on_the_training_answers(nano: Sa2Va) -> None:
    published_config = {key: value for key, value in nano.config.items() if key != "sam2_config"}
    explicit = {**published_config, "presence_threshold": 0.3}
    configs = (nano.config, published_config, explicit)
    thresholds = [Sa2Va(nano.model, nano.template, config).presence_threshold for config in configs]
    assert thresholds == [0.5, 0.05, 0.3]


def test_published_internvl_models_take_regions(nano: Sa2Va) -> None:
    published_config = {key: value for key, value in nano.config.items() if key != "sam2_config"}
    qwen = replace(nano.template, image_tokens=0)
    assert Sa2Va(nano.model, nano.template, published_config).takes_regions
    assert not Sa2Va(nano.model, qwen, published_config).takes_regions
    assert not nano.takes_regions
    assert Sa2Va(nano.model, nano.template, {**nano.config, "takes_regions": True}).takes_regions


def test_a_checkpoint_is_named_by_its_folder(saved: Path) -> None:
    assert load_sa2va(saved).name == saved.name
    assert load_sa2va("nano").name == "nano"


def test_a_tied_model_stays_tied(saved: Path) -> None:
    mllm = load_sa2va(saved).model.mllm
    assert mllm.lm_head.weight is mllm.model.language_model.embed_tokens.weight


def test_published_sam_is_hiera_large() -> None:
    """Parameters of the image encoder: 212.7 M, as published for sam2_hiera_l."""
    from transformers import Sam2Config, Sam2Model

    with torch.device("meta"):
        sam = Sam2Model(Sam2Config(**HIERA_LARGE))
    count = sum(weight.numel() for weight in sam.vision_encoder.parameters())
    assert count / 1e6 == pytest.approx(212.7, abs=0.1)
