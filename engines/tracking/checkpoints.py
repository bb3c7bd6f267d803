"""SAM-2 and EdgeTAM weights on disk and in memory.

    a folder     `config.json` (transformers' `Sam2VideoConfig` or `EdgeTamVideoConfig`), `model.safetensors`;
                 names are the official ones (what nano has) or transformers' (of `save_pretrained`)
    a .pt file   of facebookresearch/sam2 (2.0 and 2.1, four sizes) or facebookresearch/EdgeTAM
    a Sa2VA      its folder: the tensors under `grounding_encoder.sam2_model.`, a SAM 2.0 large whose mask
                 decoder was tuned on pictures without memory and follows worse for it (Sa2VA-i)

Whatever precision the file has, weights are float32 in memory. Files are data: no code in them is run.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import is_zipfile

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from engines.tracking.checkpoint_files import (
    CONFIG_FILE,
    OFFICIAL_SUFFIXES,
    WEIGHTS_FILE,
    CheckpointFiles,
    checkpoint_files,
)
from engines.tracking.families import TrackerModel, config_from, model_of, published_config, resized
from engines.tracking.weight_names import from_official
from engines.tracking.weight_names import official_name as official_name
from engines.tracking.weight_names import to_official as to_official
from streaming.errors import CheckpointError

NAMED: Final = 10
"An error names this many tensors of a kind."
_UNREADABLE: Final = (OSError, ValueError, TypeError, KeyError, AttributeError)
"What files that are no checkpoint, or a config.json of something else, make libraries raise."


@dataclass(frozen=True, slots=True, eq=False)
class TrackerWeights:
    """One SAM-2 or EdgeTAM, read-only; any number of trackers may share it."""

    name: str
    model: TrackerModel
    "float32, on the CPU, in eval mode, without gradients."

    @property
    def side_px(self) -> int:
        """Side of the square picture it looks at."""
        side: Any = self.model.config.image_size
        return int(side)


def load_tracker_weights(name_or_path: str | Path, side_px: int | None = None) -> TrackerWeights:
    """Read `nano` (bundled) or a checkpoint; once per process, then shared by its streams.

    side_px: of the pictures it will look at; the checkpoint's own where None.
    Raises NotFound where there is no such checkpoint, CheckpointError where a file cannot be read or its
    tensors do not fit the model that it describes, InvalidSettings where the model takes no such pictures.
    """
    files = checkpoint_files(name_or_path)
    try:
        tensors = _tensors(files)
        config = published_config(tensors) if files.config is None else _said(files.config)
    except (*_UNREADABLE, SafetensorError, StrictDataclassError) as exc:
        raise CheckpointError(f"Cannot read {name_or_path}: {exc}.") from exc
    model: Any = model_of(config if side_px is None else resized(config, side_px))
    fill(model, tensors)
    model.eval().requires_grad_(False)
    return TrackerWeights(str(name_or_path), model)


def _said(config: Path) -> Any:
    return config_from(json.loads(config.read_text()))


def _tensors(files: CheckpointFiles) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path in files.weights:
        tensors.update(
            _official(path) if path.suffix in OFFICIAL_SUFFIXES else _safetensors(path, files.prefix)
        )
    return tensors


def _official(path: Path) -> dict[str, Tensor]:
    """The `.pt` files hold their state dict under "model"."""
    if not is_zipfile(path):  # what torch has written since 1.6
        raise ValueError("it is no file that torch wrote, or not all of one")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as exc:
        raise ValueError("it holds other things than tensors") from exc
    tensors = held.get("model", held) if isinstance(held, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(one, Tensor) for one in tensors.values()):
        raise ValueError("it holds no state dict")
    return tensors


def _safetensors(path: Path, prefix: str) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - no mapping
        # Sa2VA says g_weight where SAM-2 says gamma: transformers would rename the latter.
        return {
            name.removeprefix(prefix).replace(".g_weight", ".gamma"): file.get_tensor(name) for name in names
        }


def fill(model: TrackerModel, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors with official or transformers names into a model; every one must be there and fit.

    Raises CheckpointError naming the first ten tensors that are missing, left over and of another shape.
    """
    wanted = model.state_dict()
    if any(name.startswith("vision_encoder.") for name in tensors):
        given = dict(tensors)
    else:
        given, left = from_official(wanted, tensors)
        given.update(left)
    faults = {
        "missing": sorted(wanted.keys() - given.keys()),
        "surplus": sorted(given.keys() - wanted.keys()),
        "misshapen": [
            f"{name} is {tuple(given[name].shape)}, not {tuple(wanted[name].shape)}"
            for name in sorted(wanted.keys() & given.keys())
            if given[name].shape != wanted[name].shape
        ],
    }
    told = [f"{len(names)} {fault}: {', '.join(names[:NAMED])}" for fault, names in faults.items() if names]
    if told:
        raise CheckpointError(f"The tensors do not fit the model; {'; '.join(told)}.")
    model.load_state_dict({name: tensor.float() for name, tensor in given.items()})


def save_tracker(model: TrackerModel, directory: Path) -> None:
    """Write config.json and float16 weights under their official names, each renamed over the old file."""
    directory.mkdir(parents=True, exist_ok=True)
    partial = directory / (WEIGHTS_FILE + ".partial")
    save_file(to_official({k: v.half() for k, v in model.state_dict().items()}), partial)
    partial.chmod(0o644)  # safetensors writes for its owner only
    config = directory / (CONFIG_FILE + ".partial")
    config.write_text(model.config.to_json_string(use_diff=False))
    config.replace(directory / CONFIG_FILE)
    partial.replace(directory / WEIGHTS_FILE)
