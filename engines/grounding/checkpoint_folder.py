"""Find the folder of a Sa2VA checkpoint, without importing a library that takes seconds to import."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engines.grounding.hub_name import is_hub_name
from streaming.errors import NotFound

NANO_DIR: Final = Path(__file__).resolve().parent.parent / "nano" / "sa2va"
CONFIG_FILE: Final = "config.json"


def checkpoint_folder(name_or_dir: str | Path) -> Path:
    """Return the folder of `nano` (bundled), of a path, or of `owner/name@commit`, downloaded if need be.

    Raises NotFound where there is no checkpoint, CheckpointError if a hub does not answer.
    """
    name = str(name_or_dir)
    folder = NANO_DIR if name == "nano" else Path(name)
    if not folder.exists() and is_hub_name(name):
        from engines.grounding.hub import fetch

        folder = fetch(name)
    if not (folder / CONFIG_FILE).is_file():
        raise NotFound(
            f"No Sa2VA checkpoint at {folder}.",
            remedy="It is `nano`, a folder with a config.json, or owner/name@commit on a hub.",
        )
    return folder
