"""The service's commands that need no service: `up` itself is run in tests/actors/test_service.py."""

from __future__ import annotations

import json
from pathlib import Path

from tests.command_line import saccade


def test_the_doctor_speaks_json_to_scripts(tmp_path: Path) -> None:
    done = saccade("doctor", "--json", cwd=tmp_path)
    checks = {check["name"]: check["verdict"] for check in json.loads(done.stdout)}
    assert checks["torch"] == "ok"
    assert done.returncode == int("broken" in checks.values())


def test_a_doctor_who_finds_something_broken_exits_so(tmp_path: Path) -> None:
    done = saccade("doctor", "--json", cwd=tmp_path, SACCADE_MODEL="/nowhere")
    assert done.returncode == 1
