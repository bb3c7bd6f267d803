"""Published models with random weights that keep signals alive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engines.evaluation.random_weights import bench_weights, random_tracker, waken, write_random_tracker
from engines.tracking.checkpoints import load_tracker_weights
from engines.tracking.families import family_name
from engines.tracking.graph_set import encoder_of
from engines.training.tracker_recipe import fresh_tracker
from streaming.errors import CheckpointError, Conflict, InvalidSettings, NotFound


def test_no_tensor_of_edgetam_is_trivial_and_its_features_are_alive() -> None:
    """Of SAM-2: its masks are compared with its peers' in `test_bench.py`."""
    weights = random_tracker("edgetam", 256)
    assert family_name(weights.model.config) == "edgetam"
    assert all(parameter.any() for parameter in weights.model.parameters())
    picture = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), np.uint8))
    with torch.inference_mode():
        features, _, _ = encoder_of(weights.model).eval()(picture)
    assert 0.1 < features.std() < 30 and features.std(dim=(2, 3)).min() > 1e-3


def test_a_seed_says_every_number() -> None:
    one, other = fresh_tracker(1), fresh_tracker(2)
    for model in (one, other):
        waken(model, seed=3)
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_a_random_tracker_is_written_as_a_checkpoint_once(tmp_path: Path) -> None:
    count = write_random_tracker("edgetam", tmp_path)
    read = load_tracker_weights(tmp_path, 512)
    assert (family_name(read.model.config), read.side_px) == ("edgetam", 512)
    assert count == sum(parameter.numel() for parameter in read.model.parameters())
    with pytest.raises(Conflict, match="already"):
        write_random_tracker("edgetam", tmp_path)


def test_a_random_tracker_of_an_unknown_name_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"sam3.*sam2.1-tiny"):
        write_random_tracker("sam3", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_other_names_are_checkpoints() -> None:
    assert bench_weights("nano").side_px == 256
    with pytest.raises(NotFound, match=r"official \.pt.*sam2\.1-tiny"):
        bench_weights("sam3-tiny")
    with pytest.raises(InvalidSettings):
        bench_weights("sam2.1-tiny", 100)


def test_part_of_something_else_is_no_sam2(tmp_path: Path) -> None:
    strange = {"image_encoder.trunk.patch_embed.proj.weight": torch.zeros(7, 3, 7, 7)}
    save_file(strange, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="no published SAM-2"):
        bench_weights(tmp_path / "a.safetensors")
