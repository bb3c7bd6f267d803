"""`saccade demo` refuses impossible options; tests/lab/demo runs the demo itself."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import saccade


def test_a_duration_below_five_seconds_is_refused(tmp_path: Path) -> None:
    done = saccade("demo", "--duration", "1", "--no-browser", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--duration" in done.stderr


def test_a_source_and_a_camera_exclude_each_other(tmp_path: Path) -> None:
    done = saccade("demo", "clip.mp4", "--camera", "0", "--no-browser", cwd=tmp_path)
    assert done.returncode == 2 and "exclude each other" in done.stderr
