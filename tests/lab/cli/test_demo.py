"""`saccade demo`: what its options refuse. The demo itself is run by tests/lab/demo."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import saccade


def test_a_duration_too_short_for_one_answer_is_refused(tmp_path: Path) -> None:
    done = saccade("demo", "--duration", "1", "--no-browser", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--duration" in done.stderr
