"""`saccade bench soak`: refuses what it cannot run before it starts, and teaches itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import is_one_line, saccade


def test_a_backend_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = saccade("bench", "soak", "--backend", "openvino,abacus", cwd=tmp_path)
    assert (done.returncode, done.stdout, is_one_line(done)) == (1, "", True)
    assert "abacus" in done.stderr


@pytest.mark.slow
def test_a_soak_tells_of_every_engine_and_draws_it(tmp_path: Path) -> None:
    options = ("--frames", "20", "--backend", "torch", "--against", "", "--plot", "soak.svg")
    done = saccade("bench", "soak", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "torch" in done.stdout and "KiB a frame" in done.stdout
    assert "Saccade, torch" in (tmp_path / "soak.svg").read_text()
