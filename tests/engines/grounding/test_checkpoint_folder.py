"""The folder of a checkpoint is found before anything slow is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engines.grounding.checkpoint_folder import NANO_DIR, checkpoint_folder
from streaming.errors import NotFound


def test_nano_is_bundled_and_a_folder_is_itself(tmp_path: Path) -> None:
    assert checkpoint_folder("nano") == NANO_DIR
    (tmp_path / "config.json").write_text("{}")
    assert checkpoint_folder(tmp_path) == tmp_path


@pytest.mark.parametrize("name", ["nowhere", "a/b/c", "tests"])
def test_what_holds_no_config_is_not_found_by_its_name(name: str) -> None:
    with pytest.raises(NotFound, match=f"No Sa2VA checkpoint at {name}"):
        checkpoint_folder(name)


def test_torch_and_transformers_are_not_imported() -> None:
    code = (
        "import sys; from engines.grounding.checkpoint_folder import checkpoint_folder; "
        "checkpoint_folder('nano'); print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
