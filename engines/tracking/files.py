"""Which files a tracker's checkpoint is made of: found and told apart without reading a tensor."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from streaming.errors import NotFound

CONFIG_FILE: Final = "config.json"
WEIGHTS_FILE: Final = "model.safetensors"
NANO_DIR: Final = Path(__file__).resolve().parent.parent / "nano" / "tracker"


def checkpoint_dir(name_or_dir: str | Path) -> Path:
    """The folder of `nano` (bundled), or the one given. Raises NotFound where there is no checkpoint."""
    directory = NANO_DIR if str(name_or_dir) == "nano" else Path(name_or_dir)
    if not (directory / CONFIG_FILE).is_file() or not (directory / WEIGHTS_FILE).is_file():
        raise NotFound(
            f"No tracker checkpoint at {directory}.",
            remedy=f"It is `nano` or a folder with {CONFIG_FILE} and {WEIGHTS_FILE}.",
        )
    return directory


def digest_of(*paths: Path) -> str:
    """Changes with what any of the files holds. A gigabyte takes about a second. Raises OSError."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
