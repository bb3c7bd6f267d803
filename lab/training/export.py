"""Writes trained models as checkpoints that the product loads."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.model import SaModel
from engines.grounding.weight_layout import published
from engines.grounding.weights import WEIGHTS_FILE
from engines.tracking.checkpoint_files import CONFIG_FILE
from engines.tracking.families import TrackerModel
from engines.tracking.weight_names import to_official


def save_sa2va(checkpoint: Sa2Va, directory: Path) -> None:
    """Write config, tokenizer and float16 weights; each file replaces the old file atomically."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = to_published(checkpoint.model)
    weights = directory / (WEIGHTS_FILE + ".new")
    save_file({k: v.half().contiguous() for k, v in tensors.items()}, weights)
    weights.chmod(0o644)  # safetensors creates files with mode 0600
    (directory / "config.json.new").write_text(json.dumps(dict(checkpoint.config), indent=2) + "\n")
    checkpoint.template.tokenizer.save(str(directory / "tokenizer.json.new"))
    for name in ("config.json", "tokenizer.json", WEIGHTS_FILE):
        (directory / (name + ".new")).replace(directory / name)


def to_published(model: SaModel) -> dict[str, Tensor]:
    """Convert a model's tensors to published tensors."""
    return published(model.state_dict(), model.published_tensor)


def save_tracker(model: TrackerModel, directory: Path) -> None:
    """Write config.json and float16 weights under official names; each file replaces the old one
    atomically."""
    directory.mkdir(parents=True, exist_ok=True)
    partial = directory / (WEIGHTS_FILE + ".partial")
    save_file(to_official({k: v.half() for k, v in model.state_dict().items()}), partial)
    partial.chmod(0o644)  # safetensors makes files readable by their owner only
    config = directory / (CONFIG_FILE + ".partial")
    config.write_text(model.config.to_json_string(use_diff=False))
    config.replace(directory / CONFIG_FILE)
    partial.replace(directory / WEIGHTS_FILE)
