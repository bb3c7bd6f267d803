"""The command line: it teaches, and it fails in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import is_one_line, saccade

COMMANDS = ["demo", "up", "watch", "track", "eval", "export", "doctor", "stream", "query", "bench", "train"]


def test_help_names_every_command_in_the_order_of_a_first_day(tmp_path: Path) -> None:
    done = saccade("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert re.findall(r"^│ ([a-z]+) ", done.stdout, re.MULTILINE) == COMMANDS


def test_help_loads_no_model() -> None:
    code = "import sys, actors.cli.main; print(sorted({'torch', 'ray', 'transformers'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["demo", "up", "track", "export", "bench", "watch"])
def test_help_of_a_command_explains_it(command: str, tmp_path: Path) -> None:
    done = saccade(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert len(done.stdout) > 400


def test_settings_that_cannot_hold_are_named_in_one_line(tmp_path: Path) -> None:
    done = saccade("stream", "list", cwd=tmp_path, SACCADE_PORT="many")
    assert done.returncode == 2
    assert is_one_line(done)
    assert "port" in done.stderr


def test_a_settings_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = saccade("stream", "list", "--config", "none.toml", cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert "none.toml" in done.stderr
