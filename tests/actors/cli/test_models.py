"""Commands that run models: what they refuse, they refuse before a model is loaded."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from actors.cli import models
from engines.tracking.compiled import GRAPHS
from tests.command_line import is_one_line, saccade


@pytest.mark.parametrize(("words", "said"), [("", "empty"), ("x" * 10_000, "10000 characters")])
def test_words_that_cannot_be_asked_are_refused(words: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("never opened")
    done = saccade("track", "clip.mp4", "--query", words, "--out", "out", cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_clip_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = saccade("track", "none.mp4", "--query", "the red one", "--out", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert "none.mp4" in done.stderr


def test_an_export_prints_json_for_scripts_and_is_found_again(tmp_path: Path) -> None:
    done = saccade("export", "nano", "--backend", "onnxruntime", "--out", "built", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["model"], found["backend"], found["folder"]) == ("nano", "onnxruntime", "built")
    assert [graph["graph"] for graph in found["graphs"]] == [*GRAPHS]
    for graph in found["graphs"]:
        assert max(graph["difference"].values()) < 1e-4
        assert all(
            (tmp_path / "built" / name).stat().st_size == size for name, size in graph["files"].items()
        )


@pytest.mark.parametrize(("option", "said"), [("--backend", "onnxruntime"), ("--precision", "bfloat16")])
def test_an_export_in_a_way_there_is_none_says_which_there_are(
    option: str, said: str, tmp_path: Path
) -> None:
    done = saccade("export", "nano", option, "abacus", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize(("named", "runs"), [("nano", "nano"), ("sam", "sam"), ("made", "made/tracker")])
def test_an_export_takes_the_tracker_of_what_is_named(
    named: str, runs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("nano/tracker", "sam", "made/tracker"):
        Path(folder).mkdir(parents=True)
    assert models._tracker_of(named) == runs


def test_an_export_at_a_size_that_the_model_cannot_take_is_said(tmp_path: Path) -> None:
    done = saccade("export", "nano", "--size", "250", "--backend", "torch", cwd=tmp_path)
    assert is_one_line(done) and done.returncode == 2
    assert "multiple of 32" in done.stderr


def test_an_export_of_a_checkpoint_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = saccade("export", "nowhere", "--backend", "torch", cwd=tmp_path)
    assert is_one_line(done) and done.returncode == 2
    assert "nowhere" in done.stderr


def test_it_is_said_before_libraries_are_imported_that_take_seconds(tmp_path: Path) -> None:
    done = saccade("export", "nowhere", "--backend", "torch", cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert "No tracker checkpoint at nowhere" in done.stderr
    assert "engines.tracking.checkpoint_files" in done.stderr, "imports are told"
    assert not re.search(r"\| +(torch|transformers)$", done.stderr, re.MULTILINE)
