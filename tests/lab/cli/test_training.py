"""Laws of the commands that train: what they refuse, how they are stopped, and what they leave."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command_line import is_one_line, saccade


def test_a_stage_that_is_none_is_answered_with_those_that_are(tmp_path: Path) -> None:
    done = saccade("train", "nano", "--stage", "poetry", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "tracker, vision, grounding, decoder, all" in done.stderr.replace("\n", " ")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("budget", ["soon", "-1h", "0m", "2", "1h30"])
def test_a_budget_that_is_no_time_is_refused_before_anything_is_begun(budget: str, tmp_path: Path) -> None:
    done = saccade("train", "nano", f"--budget={budget}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "90s, 30m, 2h or 1d" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_checkpoint_that_is_not_there_cannot_be_tuned(tmp_path: Path) -> None:
    done = saccade("train", "tune", "nowhere", cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert "nowhere" in done.stderr


def test_runs_are_drawn_while_they_last(tmp_path: Path) -> None:
    (tmp_path / "tracker2").mkdir()
    entry = {"step": 20, "elapsed_s": 60.0, "loss": 2.0}
    (tmp_path / "tracker2" / "log.jsonl").write_text(json.dumps(entry) + "\n")
    done = saccade("train", "plot", "tracker2", "--out", "shown.svg", cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "shown.svg")
    assert "tracker2: loss" in (tmp_path / "shown.svg").read_text()


def test_a_folder_without_a_log_cannot_be_drawn(tmp_path: Path) -> None:
    done = saccade("train", "plot", "nothing", cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert "nothing/log.jsonl" in done.stderr


@pytest.mark.slow
def test_ctrl_c_keeps_what_there_is_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = ["train", "nano", "--stage", "vision", "--pictures", "1", "--budget", "10m"]
    program = Path(sys.executable).parent / "saccade"
    # A suite that runs in the background may have been told to ignore Ctrl-C, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen([program, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    try:
        log = tmp_path / "runs" / "vision" / "log.jsonl"
        until_s = time.monotonic() + 90
        while not log.exists() and time.monotonic() < until_s:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    finally:
        running.kill()
        running.communicate()
    assert running.returncode == 130
    assert f"Go on with:\n  saccade {' '.join(words)}\n" in said
    assert (tmp_path / "runs" / "curves.svg").is_file()


@pytest.mark.slow
def test_a_stage_ends_with_what_it_made(tmp_path: Path) -> None:
    words = ("--stage", "vision", "--pictures", "1", "--budget", "1s", "--json")
    done = saccade("train", "nano", *words, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found.keys() == {"stages", "took_s", "export", "curves"}
    assert found["stages"] == ["vision"] and (tmp_path / found["curves"]).is_file()
    assert (tmp_path / "runs" / "vision" / "last.pt").is_file()
