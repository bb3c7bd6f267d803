"""Runs `tests/gstreamer_program.py` with the system's Python, which has GStreamer's bindings."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

PYTHON = "/usr/bin/python3"
PROGRAM = Path(__file__).with_name("gstreamer_program.py")


@contextmanager
def gstreamer(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the program with these arguments until exit. Skips the test where GStreamer is not installed."""
    if not _is_installed():
        pytest.skip("GStreamer is not installed: `make gstreamer` installs its Debian packages")
    command = [PYTHON, PROGRAM, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@cache
def _is_installed() -> bool:
    if not Path(PYTHON).exists():
        return False
    return subprocess.run([PYTHON, PROGRAM, "check"], capture_output=True, check=False).returncode == 0
