"""`saccade eval` as scripts run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.progress import Progress

from lab.cli import evaluate
from streaming.settings import Settings
from tests.command_line import is_one_line, saccade
from tests.up import CACHE


def test_an_unknown_level_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    done = saccade("eval", "nano", "--level", "mars", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "plain, names, kinds" in done.stderr and "all" in done.stderr


def test_missing_real_clips_are_an_error_before_anything_is_measured(tmp_path: Path) -> None:
    done = saccade("eval", "nano", "--davis", "none", cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert "no clips in none" in done.stderr


def test_missing_photographs_are_an_error_before_anything_is_measured(tmp_path: Path) -> None:
    done = saccade("eval", "nano", "--photos", "none", cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert "no photographs in none" in done.stderr


def test_a_missing_model_is_an_error(tmp_path: Path) -> None:
    done = saccade("eval", "out/nano", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "out/nano/sa2va" in done.stderr


@pytest.mark.slow
def test_json_output_is_one_line(tmp_path: Path) -> None:
    sizes = ("--scenes", "1", "--clips", "1", "--live", "0")
    cache = {"SACCADE_CACHE_DIR": str(CACHE)}
    done = saccade("eval", "nano", "--level", "plain", *sizes, "--json", cwd=tmp_path, **cache)
    found = json.loads(done.stdout)
    (level,) = found["levels"]
    assert (found["model"], level["level"], found["footage"]) == ("nano", "plain", None)
    assert level.keys() >= {"referring", "following", "answering", "describing"}
    assert found["live"] is None, "left out as asked"


def test_live_streams_without_a_server_are_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = evaluate._live(Settings(), lambda folder: [], Progress())
    assert list(found) == ["left_out"] and "make rtsp-server" in found["left_out"]
