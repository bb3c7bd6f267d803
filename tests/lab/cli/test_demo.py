"""`saccade demo` refuses impossible options; tests/lab/demo runs the demo itself."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import saccade


def test_a_duration_below_five_seconds_is_refused(tmp_path: Path) -> None:
    done = saccade("demo", "--duration", "1", "--no-browser", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--duration" in done.stderr
