"""The command `saccade` as people and scripts run it: a process, its exit code, what it wrote where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
"What is tested is this checkout, wherever the environment's own is."


def saccade(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, in a folder that is its home and with these settings alone."""
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
        timeout=60,
        check=False,
    )


def is_one_line(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether it failed as it should: one line on stderr and nothing for a pipe."""
    return done.stdout == "" and len(done.stderr.strip().splitlines()) == 1
