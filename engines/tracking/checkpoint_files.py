"""Find the files of a tracker checkpoint, without reading a tensor."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streaming.errors import CheckpointError, NotFound

CONFIG_FILE: Final = "config.json"
WEIGHTS_FILE: Final = "model.safetensors"
INDEX_FILE: Final = "model.safetensors.index.json"
OFFICIAL_SUFFIXES: Final = (".pt", ".pth")
NANO_DIR: Final = Path(__file__).resolve().parent.parent / "nano" / "tracker"
SA2VA_TYPE: Final = "sa2va_chat"
"""`model_type` of every published Sa2VA."""
INSIDE_SA2VA: Final = "grounding_encoder.sam2_model."
"""Prefix of SAM-2's tensor names in a Sa2VA checkpoint."""


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """The files of one checkpoint."""

    weights: tuple[Path, ...]
    "An official `.pt`, or one or more safetensors."
    config: Path | None = None
    "None where the configuration is derived from the tensors."
    prefix: str = ""
    "Of the tracker's tensor names, in files that hold other tensors too."

    @property
    def all(self) -> Sequence[Path]:
        """Every file that the tracker depends on."""
        return (*self.weights, *(() if self.config is None else (self.config,)))


def checkpoint_files(name_or_path: str | Path) -> CheckpointFiles:
    """Return the files of `nano` (bundled), of a checkpoint's folder (also a Sa2VA's), or an official `.pt`.

    Raises NotFound where there is no checkpoint, CheckpointError where config.json or the index is invalid.
    """
    path = NANO_DIR if str(name_or_path) == "nano" else Path(name_or_path).expanduser()
    if path.suffix in OFFICIAL_SUFFIXES and path.is_file():
        return CheckpointFiles((path,))
    config, weights, index = path / CONFIG_FILE, path / WEIGHTS_FILE, path / INDEX_FILE
    if not config.is_file() or not (weights.is_file() or index.is_file()):
        raise NotFound(
            f"No tracker checkpoint at {path}.",
            remedy=f"Name `nano`, an official .pt file, or a folder with {CONFIG_FILE} and {WEIGHTS_FILE}.",
        )
    inside_sa2va = _read(config).get("model_type") == SA2VA_TYPE
    prefix = INSIDE_SA2VA if inside_sa2va else ""
    found = (weights,) if weights.is_file() else _shards(index, prefix)
    return CheckpointFiles(found, None if inside_sa2va else config, prefix)


def digest_of(*paths: Path) -> str:
    """Return a digest of the files' contents; about a second per gigabyte. Raises OSError."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _shards(index: Path, prefix: str) -> tuple[Path, ...]:
    """Return the shards that hold tensors of that prefix."""
    weight_map = _read(index).get("weight_map")
    if not isinstance(weight_map, dict):
        raise CheckpointError(f"{index} has no weight_map.")
    names = sorted({str(shard) for name, shard in weight_map.items() if name.startswith(prefix)})
    if any(Path(name).name != name for name in names):
        raise CheckpointError(f"{index} names files outside its folder.")
    return tuple(index.with_name(name) for name in names)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"Cannot read {path}: {exc}.") from exc
    if not isinstance(content, dict):
        raise CheckpointError(f"Cannot read {path}: it is not a JSON object.")
    return content
