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
