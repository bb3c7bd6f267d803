"""Load SAM-2 and EdgeTAM weights.

    a folder     `config.json` (transformers' `Sam2VideoConfig` or `EdgeTamVideoConfig`), `model.safetensors`;
                 tensors have official names (as nano) or transformers' (from `save_pretrained`)
    a .pt file   of facebookresearch/sam2 (2.0 and 2.1, four sizes) or facebookresearch/EdgeTAM
    a Sa2VA      its folder: the tensors under `grounding_encoder.sam2_model.`, a SAM 2.0 large whose mask
                 decoder was fine-tuned on images without memory and tracks worse (Sa2VA-i)

In memory weights are float32 whatever the file's precision. Code in checkpoint files is never executed.
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
from torch import Tensor

from engines.tracking.checkpoint_files import OFFICIAL_SUFFIXES, CheckpointFiles, checkpoint_files
from engines.tracking.families import (
    TrackerModel,
    build_model,
    config_from,
    published_config,
    with_image_size,
)
from engines.tracking.weight_names import from_official
from streaming.errors import CheckpointError

MAX_NAMED: Final = 10
"Tensors that an error message lists per kind of fault."
_UNREADABLE: Final = (OSError, ValueError, TypeError, KeyError, AttributeError)
"What libraries raise for files that are no checkpoint or a config.json of another model."


@dataclass(frozen=True, slots=True, eq=False)
class TrackerWeights:
    """The weights of one SAM-2 or EdgeTAM, read-only and shared."""

    name: str
    model: TrackerModel
    "float32, on the CPU, in eval mode, without gradients."

    @property
    def side_px(self) -> int:
        """Side of the square input image."""
        side: Any = self.model.config.image_size
        return int(side)


def load_tracker_weights(name_or_path: str | Path, side_px: int | None = None) -> TrackerWeights:
    """Load `nano` (bundled) or a checkpoint; once per process, then shared by its streams.

    side_px: of the input image; None for the checkpoint's own. Raises NotFound where there is no such
    checkpoint, CheckpointError where a file is invalid or its tensors do not fit its configuration,
    InvalidSettings where the model does not support this side.
    """
    files = checkpoint_files(name_or_path)
    try:
        tensors = _tensors(files)
        config = published_config(tensors) if files.config is None else _config(files.config)
    except (*_UNREADABLE, SafetensorError, StrictDataclassError) as exc:
        raise CheckpointError(f"Cannot read {name_or_path}: {exc}.") from exc
    model: Any = build_model(config if side_px is None else with_image_size(config, side_px))
    load_tensors(model, tensors)
    model.eval().requires_grad_(False)
    return TrackerWeights(str(name_or_path), model)


def _config(path: Path) -> Any:
    return config_from(json.loads(path.read_text()))


def _tensors(files: CheckpointFiles) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path in files.weights:
        tensors.update(
            _official(path) if path.suffix in OFFICIAL_SUFFIXES else _safetensors(path, files.prefix)
        )
    return tensors


def _official(path: Path) -> dict[str, Tensor]:
    """Read a `.pt` file, whose state dict is under the key "model"."""
    if not is_zipfile(path):  # the format of torch since 1.6
        raise ValueError("it is not a torch file, or it is incomplete")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as exc:
        raise ValueError("it holds objects other than tensors") from exc
    tensors = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise ValueError("it holds no state dict")
    return tensors


def _safetensors(path: Path, prefix: str) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - not a mapping
        # Sa2VA names SAM-2's gamma g_weight, because transformers would rename gamma.
        return {
            name.removeprefix(prefix).replace(".g_weight", ".gamma"): file.get_tensor(name) for name in names
        }


def load_tensors(model: TrackerModel, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors with official or transformers names into a model; none may be missing or left over.

    Raises CheckpointError, which lists the first ten missing, surplus and misshapen tensors.
    """
    wanted = model.state_dict()
    if any(name.startswith("vision_encoder.") for name in tensors):
        found = dict(tensors)
    else:
        found, unused = from_official(wanted, tensors)
        found.update(unused)
    faults = {
        "missing": sorted(wanted.keys() - found.keys()),
        "surplus": sorted(found.keys() - wanted.keys()),
        "misshapen": [
            f"{name} is {tuple(found[name].shape)}, not {tuple(wanted[name].shape)}"
            for name in sorted(wanted.keys() & found.keys())
            if found[name].shape != wanted[name].shape
        ],
    }
    messages = [
        f"{len(names)} {fault}: {', '.join(names[:MAX_NAMED])}" for fault, names in faults.items() if names
    ]
    if messages:
        raise CheckpointError(f"The tensors do not fit the model; {'; '.join(messages)}.")
    model.load_state_dict({name: tensor.float() for name, tensor in found.items()})
