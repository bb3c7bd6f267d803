"""The command line: it teaches, and it fails in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = ("demo", "up", "stream", "query", "watch", "track", "bench", "train", "doctor")
NOBODY = ("--server", "http://127.0.0.1:1")


def saccade(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "saccade"
    return subprocess.run(
        [str(program), *arguments],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "120", "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def is_one_line(done: subprocess.CompletedProcess[str]) -> bool:
    return done.stdout == "" and len(done.stderr.strip().splitlines()) == 1


def test_help_names_every_command_and_loads_no_model(tmp_path: Path) -> None:
    done = saccade("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert all(command in done.stdout for command in COMMANDS)
    code = "import sys, actors.cli; print(sorted({'torch', 'ray', 'transformers'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["demo", "up", "track", "bench", "watch"])
def test_help_of_a_command_explains_it(command: str, tmp_path: Path) -> None:
    done = saccade(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert len(done.stdout) > 400


@pytest.mark.parametrize(
    "arguments",
    [
        ("stream", "list"),
        ("query", "edit", "q-1", "the blue jacket"),
        ("watch", "door"),
    ],
)
def test_without_a_service_a_command_says_how_to_start_one(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = saccade(*arguments, *NOBODY, cwd=tmp_path)
    assert done.returncode == 1
    assert is_one_line(done), done.stderr
    assert "saccade up" in done.stderr


def test_settings_that_cannot_hold_are_named_in_one_line(tmp_path: Path) -> None:
    done = saccade("stream", "list", cwd=tmp_path, SACCADE_PORT="many")
    assert done.returncode == 2
    assert is_one_line(done)
    assert "port" in done.stderr


def test_a_settings_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = saccade("stream", "list", "--config", "none.toml", cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert "none.toml" in done.stderr


@pytest.mark.parametrize(("words", "said"), [("", "empty"), ("x" * 10_000, "10000 characters")])
def test_words_that_cannot_be_asked_are_refused_before_a_model_is_loaded(
    words: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").write_text("never opened")
    done = saccade("track", "clip.mp4", "--query", words, "--out", "out", cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_clip_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = saccade("track", "none.mp4", "--query", "the red one", "--out", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert "none.mp4" in done.stderr


def test_the_doctor_speaks_json_to_scripts(tmp_path: Path) -> None:
    done = saccade("doctor", "--json", cwd=tmp_path)
    checks = {check["name"]: check["verdict"] for check in json.loads(done.stdout)}
    assert checks["torch"] == "ok"
    assert done.returncode == int("broken" in checks.values())


def test_a_doctor_who_finds_something_broken_exits_so(tmp_path: Path) -> None:
    done = saccade("doctor", "--json", cwd=tmp_path, SACCADE_MODEL="/nowhere")
    assert done.returncode == 1
