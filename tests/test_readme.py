"""What the README tells people to type does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from actors.redis_server import RedisServer
from engines.masks import encode_mask
from streaming.results.writer import ResultWriter
from streaming.vocabulary import QueryId, Track, TrackId, TrackState
from tests.served import frame

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
(READ_RESULTS,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@contextmanager
def one_result_in(folder: Path) -> Iterator[RedisServer]:
    """A Redis with its data in a folder and one frame of the stream `door` in it: 12 pixels of one thing."""
    mask = np.zeros((360, 640), dtype=bool)
    mask[10:13, 20:24] = True
    track = Track(
        TrackId(3),
        QueryId("q-1"),
        1,
        "the red circle",
        TrackState.ACTIVE,
        0.9,
        (20.0, 10.0, 24.0, 13.0),
        encode_mask(mask),
        0,
    )
    server = RedisServer(folder)
    writer = ResultWriter(server.start(), frames_maxlen=100, notes_maxlen=100)
    writer.publish(replace(frame("door", 0), tracks=(track,)))
    writer.close()
    yield server
    server.stop()


def read_results(folder: Path, **environment: str) -> str:
    """What the README's program prints, run in a folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SACCADE_")}
    return subprocess.run(
        [sys.executable, "-c", READ_RESULTS],
        cwd=folder,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_results_are_read_from_the_redis_that_the_service_runs_itself(tmp_path: Path) -> None:
    with one_result_in(tmp_path / ".state" / "redis"):
        assert read_results(tmp_path) == "3 the red circle 12 pixels\n"


def test_results_are_read_from_the_redis_that_the_service_was_given(tmp_path: Path) -> None:
    with one_result_in(tmp_path / "elsewhere") as server:
        url = server.url.get_secret_value()
        assert read_results(tmp_path, SACCADE_REDIS_URL=url) == "3 the red circle 12 pixels\n"
