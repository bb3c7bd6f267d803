"""Tests of the command line as a whole: help texts, and errors in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from actors.cli import main
from streaming.errors import UsageError
from tests.command_line import is_one_line, saccade

COMMANDS = ["demo", "up", "watch", "track", "eval", "export", "doctor", "stream", "query", "bench", "train"]


def test_help_lists_every_command_in_order_of_use(tmp_path: Path) -> None:
    done = saccade("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert re.findall(r"^│ ([a-z]+) ", done.stdout, re.MULTILINE) == COMMANDS


def test_help_loads_neither_torch_nor_ray() -> None:
    code = "import sys, actors.cli.main; print(sorted({'torch', 'ray', 'transformers'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["demo", "up", "track", "export", "bench", "watch"])
def test_every_command_has_a_help_text(command: str, tmp_path: Path) -> None:
    done = saccade(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert len(done.stdout) > 400


def test_an_invalid_setting_is_named_in_one_line(tmp_path: Path) -> None:
    done = saccade("stream", "list", cwd=tmp_path, SACCADE_PORT="many")
    assert done.returncode == 2
    assert is_one_line(done)
    assert "port" in done.stderr


def test_a_missing_settings_file_is_named_in_one_line(tmp_path: Path) -> None:
    done = saccade("stream", "list", "--config", "none.toml", cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert "none.toml" in done.stderr


def test_square_brackets_of_an_error_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**options: bool) -> None:
        raise UsageError("It needs more.", remedy="Install saccade[plots].")

    monkeypatch.setattr(main, "app", refuse)
    with pytest.raises(SystemExit):
        main.main()
    assert "saccade[plots]" in capsys.readouterr().err
