"""Tests of the command doctor as a process. `up` is tested in tests/actors/test_service.py."""

from __future__ import annotations

import json
from pathlib import Path

from tests.command_line import saccade


def test_doctor_prints_json(tmp_path: Path) -> None:
    done = saccade("doctor", "--json", cwd=tmp_path)
    checks = {check["name"]: check["verdict"] for check in json.loads(done.stdout)}
    assert checks["torch"] == "ok"
    assert done.returncode == int("broken" in checks.values())


def test_doctor_exits_with_1_if_a_check_is_broken(tmp_path: Path) -> None:
    done = saccade("doctor", "--json", cwd=tmp_path, SACCADE_MODEL="/nowhere")
    assert done.returncode == 1
