"""`saccade bench soak` refuses unknown backends before it starts, and writes table and plot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import is_one_line, saccade


def test_an_unknown_backend_is_an_error_in_one_line(tmp_path: Path) -> None:
    done = saccade("bench", "soak", "--backend", "openvino,abacus", cwd=tmp_path)
    assert (done.returncode, done.stdout, is_one_line(done)) == (1, "", True)
    assert "abacus" in done.stderr


@pytest.mark.slow
def test_a_soak_prints_a_row_per_engine_and_writes_the_plot(tmp_path: Path) -> None:
    options = ("--frames", "20", "--backend", "torch", "--against", "", "--plot", "soak.svg")
    done = saccade("bench", "soak", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "torch" in done.stdout and "KiB a frame" in done.stdout
    assert "Saccade, torch" in (tmp_path / "soak.svg").read_text()
