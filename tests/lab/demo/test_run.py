"""`saccade demo` as a process: the whole service on the bundled clip, scored against its ground truth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.fixtures.ports import free_port
from tests.up import CACHE, START_S

OPTIONS = ("--no-browser", "--json")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_demo_tracks_the_objects_it_asks_for(tmp_path: Path) -> None:
    environment = os.environ | {"SACCADE_PORT": str(free_port()), "SACCADE_STATE_DIR": str(tmp_path)}
    environment["SACCADE_CACHE_DIR"] = str(CACHE)
    # Three phrases: the first, and two edits.
    done = subprocess.run(
        [sys.executable, "-m", "actors", "demo", "--scene", "drawn", *OPTIONS, "--duration", "12"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=START_S + 60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    score = json.loads(done.stdout.splitlines()[-1])
    assert score["results"] > 20
    assert score["prompt_to_mask_p50_s"] > 0
    assert score["tracked_fps"] > 0 and score["frame_age_p95_s"] > 0
    assert score["dropped"] >= 0
    # Low, since tests run in parallel: frames are dropped and answers are late.
    assert score["j_mean"] >= 0.35
