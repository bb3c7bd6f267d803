"""`saccade train`: refused options, interruption, output."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command_line import is_one_line, saccade


def test_an_unknown_stage_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    done = saccade("train", "nano", "--stage", "poetry", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "tracker, vision, grounding, decoder, all" in done.stderr.replace("\n", " ")
    assert not (tmp_path / "runs").exists()


def test_a_start_is_of_one_stage(tmp_path: Path) -> None:
    done = saccade("train", "nano", "--start", "nano", cwd=tmp_path)
    assert done.returncode == 2 and "--stage" in done.stderr


@pytest.mark.parametrize("budget", ["soon", "-1h", "0m", "2", "1h30"])
def test_a_budget_that_is_not_a_time_is_refused(budget: str, tmp_path: Path) -> None:
    done = saccade("train", "nano", f"--budget={budget}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "90s, 30m, 2h or 1d" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_missing_checkpoint_cannot_be_tuned(tmp_path: Path) -> None:
    done = saccade("train", "tune", "nowhere", cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert "nowhere" in done.stderr


def test_a_running_training_can_be_plotted(tmp_path: Path) -> None:
    (tmp_path / "tracker2").mkdir()
    entry = {"step": 20, "elapsed_s": 60.0, "loss": 2.0}
    (tmp_path / "tracker2" / "log.jsonl").write_text(json.dumps(entry) + "\n")
    done = saccade("train", "plot", "tracker2", "--out", "shown.svg", cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "shown.svg")
    assert "tracker2: loss" in (tmp_path / "shown.svg").read_text()


def test_a_folder_without_a_log_cannot_be_plotted(tmp_path: Path) -> None:
    done = saccade("train", "plot", "nothing", cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert "nothing/log.jsonl" in done.stderr


@pytest.mark.slow
def test_ctrl_c_keeps_the_checkpoint_and_prints_how_to_continue(tmp_path: Path) -> None:
    words = ["train", "nano", "--stage", "vision", "--pictures", "1", "--budget", "10m"]
    program = Path(sys.executable).parent / "saccade"
    # A suite in the background may ignore SIGINT, and child processes inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen([program, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    try:
        log = tmp_path / "runs" / "vision" / "log.jsonl"
        until_s = time.monotonic() + 90
        while not log.exists() and time.monotonic() < until_s:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=120)
    finally:
        running.kill()
        running.communicate()
    assert running.returncode == 130
    assert f"Continue with:\n  saccade {' '.join(words)}\n" in said
    assert (tmp_path / "runs" / "curves.svg").is_file()


@pytest.mark.slow
def test_a_finished_stage_prints_its_report(tmp_path: Path) -> None:
    words = ("--stage", "vision", "--pictures", "1", "--budget", "1s", "--json")
    done = saccade("train", "nano", *words, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found.keys() == {"stages", "took_s", "export", "curves"}
    assert found["stages"] == ["vision"] and (tmp_path / found["curves"]).is_file()
    assert (tmp_path / "runs" / "vision" / "last.pt").is_file()
