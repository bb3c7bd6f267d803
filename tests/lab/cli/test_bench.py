"""Benches refuse what they cannot measure before they start anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import is_one_line, saccade


@pytest.mark.parametrize("what", ["line", "tracker"])
@pytest.mark.parametrize("objects", ["many", "0", "1,,3", ""])
def test_a_bench_of_no_number_of_objects_is_refused(what: str, objects: str, tmp_path: Path) -> None:
    done = saccade("bench", what, "--objects", objects, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "numbers of objects" in done.stderr


def test_a_bench_of_the_line_without_a_server_says_how_to_get_one(tmp_path: Path) -> None:
    done = saccade("bench", "line", cwd=tmp_path, PATH="/usr/bin:/bin")
    assert (done.returncode, is_one_line(done)) == (1, True)
    assert "make rtsp-server" in done.stderr


@pytest.mark.parametrize("what", ["line", "tracker"])
def test_a_bench_teaches_itself(what: str, tmp_path: Path) -> None:
    done = saccade("bench", what, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "--objects" in done.stdout and "quiet" in done.stdout


@pytest.mark.parametrize("queries", ["many", "0", "4,17", ""])
def test_more_queries_than_one_prefill_takes_are_refused(queries: str, tmp_path: Path) -> None:
    done = saccade("bench", "grounder", "--queries", queries, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "each 1 to 16" in " ".join(done.stderr.replace("│", " ").split())


def test_a_bench_of_a_model_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = saccade("bench", "grounder", "--model", str(tmp_path / "none"), cwd=tmp_path)
    assert (done.returncode, done.stdout, is_one_line(done)) == (2, "", True)
    assert "none" in done.stderr


def test_a_checkpoint_is_not_written_over_another(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    done = saccade("bench", "checkpoint", str(tmp_path), cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert "already" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("what", "said"), [("grounder", "bench checkpoint"), ("checkpoint", "SACCADE_MODEL=FOLDER")]
)
def test_a_bench_of_the_grounder_teaches_itself(what: str, said: str, tmp_path: Path) -> None:
    done = saccade("bench", what, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert said in " ".join(done.stdout.split())


def test_boxes_without_films_are_refused(tmp_path: Path) -> None:
    done = saccade("bench", "boxes", "nano", str(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stdout, is_one_line(done)) == (2, "", True)
    assert "no films" in done.stderr
