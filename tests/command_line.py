"""Runs the command `saccade` as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
"First on the path of imports, so that this checkout is tested and not an installed copy."


def saccade(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, at most 60 s. `cwd` is also its home; `environment` has its only settings."""
    program = Path(sys.executable).parent / "saccade"
    return subprocess.run(
        [str(program), *arguments],
        cwd=cwd,
        env={
            "PATH": "/usr/bin:/bin",
            "COLUMNS": "120",
            "HOME": str(cwd),
            "PYTHONPATH": str(ROOT),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def is_one_line(done: subprocess.CompletedProcess[str]) -> bool:
    """Return whether a command failed as specified: one line on stderr, nothing on stdout."""
    return done.stdout == "" and len(done.stderr.strip().splitlines()) == 1
