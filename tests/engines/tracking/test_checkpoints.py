"""Checkpoints: folders, official files, the SAM-2 in a Sa2VA, round trips, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import EdgeTamVideoModel

from engines.tracking.checkpoint_files import INDEX_FILE, INSIDE_SA2VA, SA2VA_TYPE, WEIGHTS_FILE
from engines.tracking.checkpoints import load_tracker_weights
from engines.tracking.families import TrackerConfig, build_model, published_config
from engines.tracking.weight_names import to_official
from lab.training.export import save_tracker
from lab.training.initial_weights import initial_tracker
from streaming.errors import CheckpointError, InvalidSettings, NotFound
from tests.edgetam import edge_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tracker")
    save_tracker(initial_tracker(1), directory)
    return directory


def broken(saved: Path, to: Path, **tensors: torch.Tensor | None) -> Path:
    """Copy a checkpoint with tensors replaced, added or (None) removed; `__` stands for a dot."""
    state = load_file(saved / WEIGHTS_FILE)
    for name, tensor in tensors.items():
        key = name.replace("__", ".")
        state.pop(key, None)
        if tensor is not None:
            state[key] = tensor
    (to / "config.json").write_bytes((saved / "config.json").read_bytes())
    save_file(state, to / WEIGHTS_FILE)
    return to


def test_a_loaded_tracker_is_in_eval_mode_without_gradients(saved: Path) -> None:
    weights = load_tracker_weights(saved)
    assert weights.side_px == 256 and not weights.model.training
    assert not any(parameter.requires_grad for parameter in weights.model.parameters())
    assert weights.model.mask_decoder.config._attn_implementation == "eager"


def test_transformers_names_are_loaded_too(saved: Path, tmp_path: Path) -> None:
    initial_tracker(1).half().save_pretrained(tmp_path)
    ours, theirs = load_tracker_weights(saved).model, load_tracker_weights(tmp_path).model
    for name, tensor in ours.state_dict().items():
        assert torch.equal(theirs.state_dict()[name], tensor), name


def test_names_on_disk_are_the_official_ones(saved: Path) -> None:
    names = load_file(saved / WEIGHTS_FILE).keys()
    assert "image_encoder.trunk.blocks.0.attn.qkv.weight" in names
    assert "sam_mask_decoder.output_hypernetworks_mlps.3.layers.2.bias" in names
    assert "memory_encoder.fuser.layers.0.gamma" in names and "obj_ptr_proj.layers.1.weight" in names
    assert not any("layer_norm" in name or "proj_in" in name or "vision_encoder" in name for name in names)


def test_a_missing_checkpoint_raises_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="No tracker checkpoint"):
        load_tracker_weights(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"no_mem_embed": None}, "1 missing: no_memory_embedding"),
        ({"surprise__weight": torch.zeros(1)}, r"1 surplus: surprise\.weight"),
        ({"no_mem_embed": torch.zeros(1, 1, 7)}, r"1 misshapen: no_memory_embedding is \(1, 1, 7\)"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    saved: Path, tmp_path: Path, tensors: dict[str, torch.Tensor | None], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_tracker_weights(broken(saved, tmp_path, **tensors))


def test_the_first_ten_faults_are_named_and_all_are_counted(saved: Path, tmp_path: Path) -> None:
    many = {f"surprise__{index:02d}": torch.zeros(1) for index in range(12)}
    with pytest.raises(CheckpointError) as caught:
        load_tracker_weights(broken(saved, tmp_path, no_mem_embed=None, **many))
    assert "1 missing" in str(caught.value) and "12 surplus" in str(caught.value)
    assert "surprise.09" in str(caught.value) and "surprise.10" not in str(caught.value)


def test_an_invalid_weights_file_is_an_error(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((saved / "config.json").read_bytes())
    (tmp_path / WEIGHTS_FILE).write_bytes(b"not tensors")
    with pytest.raises(CheckpointError, match="Cannot read"):
        load_tracker_weights(tmp_path)


@pytest.mark.parametrize(
    "config", ['{"model_type": "edgetam_video"}', '{"image_size": "large"}', '{"prompt_encoder_config": 3}']
)
def test_an_invalid_configuration_is_an_error(config: str, saved: Path, tmp_path: Path) -> None:
    broken(saved, tmp_path)
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointError):
        load_tracker_weights(tmp_path)


def test_edgetam_saved_by_transformers_is_loaded(tmp_path: Path) -> None:
    model = edge_model()
    model.save_pretrained(tmp_path)
    loaded = load_tracker_weights(tmp_path, 192)
    assert isinstance(loaded.model, EdgeTamVideoModel) and loaded.side_px == 192
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor), name


def counted(config: TrackerConfig) -> dict[str, Tensor]:
    """A state dict with the model's names and shapes, each tensor filled with its own number."""
    with torch.device("meta"):
        shapes = build_model(config).state_dict()
    state = {
        name: torch.full(tensor.shape, index % 2000, dtype=torch.float16)
        for index, (name, tensor) in enumerate(shapes.items())
    }
    matrix = state["prompt_encoder.shared_embedding.positional_embedding"]
    return state | {"shared_image_embedding.positional_embedding": matrix}


def tiny(*more: str) -> TrackerConfig:
    names = [f"image_encoder.trunk.blocks.{index}.norm1.weight" for index in range(12)]
    marks = {"image_encoder.trunk.patch_embed.proj.weight": torch.zeros(96, 1), **dict.fromkeys(names)}
    return published_config(marks | dict.fromkeys(more))  # type: ignore[arg-type]


EDGE = {"image_encoder.trunk.body.stem.conv1.c.weight": torch.zeros(1)}
NEWER = ("obj_ptr_tpos_proj.weight", "no_obj_embed_spatial")


def assert_loaded(loaded: Any, state: dict[str, Tensor]) -> None:
    assert loaded.state_dict().keys() == state.keys()
    for name, tensor in loaded.state_dict().items():
        assert (tensor == state[name].flatten()[0].to(tensor.dtype)).all(), name


@pytest.mark.parametrize(
    "config", [published_config(EDGE), tiny(), tiny(*NEWER)], ids=["edgetam", "sam2_tiny", "sam2.1_tiny"]
)
def test_an_official_file_is_loaded_at_the_requested_image_size(
    config: TrackerConfig, tmp_path: Path
) -> None:
    state = counted(config)
    torch.save({"model": to_official(state)}, tmp_path / "official.pt")
    loaded = load_tracker_weights(tmp_path / "official.pt", 512)
    assert loaded.side_px == 512 and type(loaded.model.config) is type(config)
    assert_loaded(loaded.model, state)


def test_only_the_sam2_in_a_sa2va_is_read(tmp_path: Path) -> None:
    state = counted(tiny())
    named = {
        INSIDE_SA2VA + name.replace(".gamma", ".g_weight"): tensor
        for name, tensor in to_official(state).items()
    }
    places = dict.fromkeys(named, "2.safetensors") | {"lm_head.weight": "1.safetensors"}
    save_file(named | {"text_hidden_fcs.0.bias": torch.zeros(3)}, tmp_path / "2.safetensors")
    (tmp_path / "1.safetensors").write_bytes(b"gigabytes that nobody opens")
    (tmp_path / INDEX_FILE).write_text(json.dumps({"weight_map": places}))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": SA2VA_TYPE}))
    loaded = load_tracker_weights(tmp_path)
    assert loaded.side_px == 1024
    assert_loaded(loaded.model, state)


class Runs:
    """A pickle that executes code when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def test_code_in_a_file_is_refused_and_not_executed(tmp_path: Path) -> None:
    torch.save({"model": Runs(tmp_path / "mark")}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="objects other than tensors"):
        load_tracker_weights(tmp_path / "evil.pt")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("held", [{"model": 3}, [1, 2], {"model": {"a": "b"}}])
def test_a_file_without_a_state_dict_is_an_error(held: object, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        load_tracker_weights(tmp_path / "other.pt")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut short"])
def test_a_file_that_is_not_torchs_is_an_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "other.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="Cannot read"):
        load_tracker_weights(tmp_path / "other.pt")


def test_tensors_of_another_model_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "resnet.pt")
    with pytest.raises(CheckpointError, match="not those of a published SAM-2"):
        load_tracker_weights(tmp_path / "resnet.pt")


def test_an_unsupported_image_size_is_refused(saved: Path) -> None:
    with pytest.raises(InvalidSettings, match="multiple of 32"):
        load_tracker_weights(saved, 250)
