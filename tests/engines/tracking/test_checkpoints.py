"""Checkpoints: official names, round trips, clear faults."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Sam2VideoConfig, Sam2VideoModel

from engines.tracking.checkpoints import (
    WEIGHTS_FILE,
    load_tracker_weights,
    official_name,
    save_tracker,
    to_official,
)
from engines.training.tracker_recipe import fresh_tracker
from streaming.errors import CheckpointError, NotFound

REAL = Path(__file__).parents[3] / "../shared/data/weights/sam2_hiera_tiny_image.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tracker")
    save_tracker(fresh_tracker(1), directory)
    return directory


def broken(saved: Path, to: Path, **tensors: torch.Tensor | None) -> Path:
    """A copy of a checkpoint with tensors replaced, added or (None) left out; `__` stands for a dot."""
    state = load_file(saved / WEIGHTS_FILE)
    for name, tensor in tensors.items():
        key = name.replace("__", ".")
        state.pop(key, None)
        if tensor is not None:
            state[key] = tensor
    (to / "config.json").write_bytes((saved / "config.json").read_bytes())
    save_file(state, to / WEIGHTS_FILE)
    return to


def test_what_is_saved_is_loaded_in_half_precision(saved: Path) -> None:
    loaded = load_tracker_weights(saved).model.state_dict()
    for name, tensor in fresh_tracker(1).state_dict().items():
        assert torch.equal(loaded[name], tensor.half().float()), name


def test_a_loaded_tracker_is_ready_and_frozen(saved: Path) -> None:
    weights = load_tracker_weights(saved)
    assert weights.side_px == 256 and not weights.model.training
    assert not any(parameter.requires_grad for parameter in weights.model.parameters())
    assert weights.model.mask_decoder.config._attn_implementation == "eager"


def test_transformers_own_names_load_too(saved: Path, tmp_path: Path) -> None:
    fresh_tracker(1).half().save_pretrained(tmp_path)
    ours, theirs = load_tracker_weights(saved).model, load_tracker_weights(tmp_path).model
    for name, tensor in ours.state_dict().items():
        assert torch.equal(theirs.state_dict()[name], tensor), name


def test_names_on_disk_are_the_official_ones(saved: Path) -> None:
    names = load_file(saved / WEIGHTS_FILE).keys()
    assert "image_encoder.trunk.blocks.0.attn.qkv.weight" in names
    assert "sam_mask_decoder.output_hypernetworks_mlps.3.layers.2.bias" in names
    assert "memory_encoder.fuser.layers.0.gamma" in names and "obj_ptr_proj.layers.1.weight" in names
    assert not any("layer_norm" in name or "proj_in" in name or "vision_encoder" in name for name in names)


def test_every_tensor_of_metas_own_checkpoint_has_its_place() -> None:
    if not REAL.is_file():
        pytest.skip(f"no real weights at {REAL}")
    config = Sam2VideoConfig(
        enable_temporal_pos_encoding_for_object_pointers=False, enable_occlusion_spatial_embedding=False
    )
    with torch.device("meta"):
        wanted = to_official(Sam2VideoModel(config).state_dict())
    real = {name: tensor for name, tensor in load_file(REAL).items() if name != "_pos_embed_1024_nhwc"}
    assert len(real) == 303
    assert not real.keys() - wanted.keys()
    assert not [name for name in real if real[name].shape != wanted[name].shape]


def test_two_modules_share_the_one_official_position_matrix() -> None:
    matrix = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    assert official_name("shared_image_embedding.positional_embedding") == matrix
    assert official_name("prompt_encoder.shared_embedding.positional_embedding") == matrix


def test_no_checkpoint_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="No tracker checkpoint"):
        load_tracker_weights(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"no_mem_embed": None}, "missing: no_memory_embedding"),
        ({"surprise__weight": torch.zeros(1)}, "surplus: surprise.weight"),
        ({"no_mem_embed": torch.zeros(1, 1, 7)}, "no_memory_embedding is"),
    ],
)
def test_a_checkpoint_that_does_not_fit_names_the_tensor(
    saved: Path, tmp_path: Path, tensors: dict[str, torch.Tensor | None], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_tracker_weights(broken(saved, tmp_path, **tensors))


def test_a_file_that_is_no_checkpoint_says_so(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((saved / "config.json").read_bytes())
    (tmp_path / WEIGHTS_FILE).write_bytes(b"not tensors")
    with pytest.raises(CheckpointError, match="Cannot read"):
        load_tracker_weights(tmp_path)
