"""Tests of the commands track and export as processes: mistakes are reported before a model is loaded."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from actors.cli import models
from engines.tracking.compiled import GRAPHS
from tests.command_line import is_one_line, saccade


@pytest.mark.parametrize(("text", "message"), [("", "empty"), ("x" * 10_000, "10000 characters")])
def test_an_invalid_query_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("never opened")
    done = saccade("track", "clip.mp4", "--query", text, "--out", "out", cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_clip_is_named(tmp_path: Path) -> None:
    done = saccade("track", "none.mp4", "--query", "the red one", "--out", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert "none.mp4" in done.stderr


def test_an_export_prints_json_and_its_files_are_in_the_folder(tmp_path: Path, exports: Path) -> None:
    words = ("export", "nano", "--backend", "onnxruntime", "--out", str(exports), "--json")
    done = saccade(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["model"], found["backend"], found["folder"]) == ("nano", "onnxruntime", str(exports))
    assert [graph["graph"] for graph in found["graphs"]] == [*GRAPHS]
    for graph in found["graphs"]:
        assert max(graph["difference"].values()) < 1e-4
        assert graph["files"]
        assert all((exports / name).stat().st_size == size for name, size in graph["files"].items())


@pytest.mark.parametrize(("option", "choice"), [("--backend", "onnxruntime"), ("--precision", "bfloat16")])
def test_an_unknown_backend_or_precision_is_refused_with_the_choices(
    option: str, choice: str, tmp_path: Path
) -> None:
    done = saccade("export", "nano", option, "abacus", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert choice in done.stderr


@pytest.mark.parametrize(("named", "runs"), [("nano", "nano"), ("sam", "sam"), ("made", "made/tracker")])
def test_export_takes_the_tracker_subfolder_if_there_is_one(
    named: str, runs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("nano/tracker", "sam", "made/tracker"):
        Path(folder).mkdir(parents=True)
    assert models._tracker_of(named) == runs


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    done = saccade("export", "nowhere", "--backend", "torch", cwd=tmp_path)
    assert is_one_line(done) and done.returncode == 2
    assert "nowhere" in done.stderr


def test_a_missing_checkpoint_is_reported_before_torch_is_imported(tmp_path: Path) -> None:
    done = saccade("export", "nowhere", "--backend", "torch", cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert "No tracker checkpoint at nowhere" in done.stderr
    assert "engines.tracking.checkpoint_files" in done.stderr, "imports are listed on stderr"
    assert not re.search(r"\| +(torch|transformers)$", done.stderr, re.MULTILINE)
