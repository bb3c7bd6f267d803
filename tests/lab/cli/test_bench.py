"""`saccade bench` refuses impossible options before it starts anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import ROOT, is_one_line, saccade


@pytest.mark.parametrize("what", ["line", "tracker"])
@pytest.mark.parametrize("objects", ["many", "0", "1,,3", ""])
def test_numbers_of_objects_that_are_not_numbers_are_refused(what: str, objects: str, tmp_path: Path) -> None:
    done = saccade("bench", what, "--objects", objects, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "numbers of objects" in done.stderr


def test_without_go2rtc_the_error_says_how_to_install_it(tmp_path: Path) -> None:
    done = saccade("bench", "line", cwd=tmp_path, PATH="/usr/bin:/bin")
    assert (done.returncode, is_one_line(done)) == (1, True)
    assert "make rtsp-server" in done.stderr


@pytest.mark.parametrize("what", ["line", "tracker"])
def test_help_has_the_options_and_asks_for_a_quiet_machine(what: str, tmp_path: Path) -> None:
    done = saccade("bench", what, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "--objects" in done.stdout and "quiet" in done.stdout


def test_a_hostile_camera_is_read_for_a_given_time(tmp_path: Path) -> None:
    done = saccade("bench", "camera", "--seconds", "1", "--seed", "2", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["reader"] == "native"
    assert "live" in done.stderr


@pytest.mark.parametrize("queries", ["many", "0", "4,17", ""])
def test_more_queries_than_a_prefill_takes_are_refused(queries: str, tmp_path: Path) -> None:
    done = saccade("bench", "grounder", "--queries", queries, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "each 1 to 16" in " ".join(done.stderr.replace("│", " ").split())


def test_a_missing_model_is_an_error_in_one_line(tmp_path: Path) -> None:
    done = saccade("bench", "grounder", "--model", str(tmp_path / "none"), cwd=tmp_path)
    assert (done.returncode, done.stdout, is_one_line(done)) == (2, "", True)
    assert "none" in done.stderr


def test_an_existing_checkpoint_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    done = saccade("bench", "checkpoint", str(tmp_path), cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert "already" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("what", "said"), [("grounder", "bench checkpoint"), ("checkpoint", "SACCADE_MODEL=FOLDER")]
)
def test_help_of_the_grounders_benchmark_has_the_next_command(what: str, said: str, tmp_path: Path) -> None:
    done = saccade("bench", what, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert said in " ".join(done.stdout.split())


def test_boxes_without_clips_are_refused(tmp_path: Path) -> None:
    done = saccade("bench", "boxes", "nano", str(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stdout, is_one_line(done)) == (2, "", True)
    assert "no clips" in done.stderr


@pytest.mark.parametrize("benchmark", ["tracker", "soak"])
def test_without_matplotlib_a_plot_is_refused_in_one_line_before_measuring(
    benchmark: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'matplotlib' else find(name, *rest)\n"
    )
    done = saccade("bench", benchmark, "--plot", "plot.svg", cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert (done.returncode, done.stdout, is_one_line(done)) == (1, "", True)
    assert "Plots need matplotlib" in done.stderr
