"""Runs the programs in `examples/` as a user does, against Redis and on a clip; `test_pipeline` the other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actors.redis_server import RedisServer
from engines.masks import decode_mask, encode_mask
from lab.demo.ground_truth import CLIP, load_ground_truth
from streaming import wire
from streaming.results.writer import ResultWriter
from streaming.sources.clip import open_clip
from streaming.video_writer import VideoWriter
from streaming.vocabulary import FrameResult, Pixels, QueryId, Track, TrackId, TrackState
from tests.command_line import saccade
from tests.served import frame
from tests.up import CACHE

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PHRASE = next(iter(load_ground_truth().phrases))
"Words that refer to an object of the bundled clip."
CLIP_FRAMES = 12

pytestmark = pytest.mark.timeout(300)


def run(example: str, *arguments: str, folder: Path, **environment: str) -> str:
    """Run an example in a folder with these settings only; returns its stdout."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SACCADE_")}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example), *arguments],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def redis_with_one_result(folder: Path) -> Iterator[RedisServer]:
    """A Redis with its data in `folder` that holds one result of the stream `door`: a mask of 12 pixels."""
    mask = np.zeros((360, 640), dtype=bool)
    mask[10:13, 20:24] = True
    box_px = (20.0, 10.0, 24.0, 13.0)
    track = Track(
        TrackId(3), QueryId("q-1"), 1, "the red car", TrackState.ACTIVE, 0.9, box_px, encode_mask(mask), 0
    )
    server = RedisServer(folder)
    writer = ResultWriter(server.start(), frames_maxlen=100, notes_maxlen=100)
    writer.publish(replace(frame("door", 0), tracks=(track,)))
    writer.close()
    yield server
    server.stop()


def test_read_results_reads_the_redis_that_the_service_started(tmp_path: Path) -> None:
    with redis_with_one_result(tmp_path / ".state" / "redis"):
        printed = run("read_results.py", "door", "--once", folder=tmp_path)
    assert printed == "0 3 the red car 12 pixels\n"


def test_read_results_reads_the_redis_of_the_settings(tmp_path: Path) -> None:
    with redis_with_one_result(tmp_path / "elsewhere") as server:
        url = server.url.get_secret_value()
        printed = run("read_results.py", "door", "--once", folder=tmp_path, SACCADE_REDIS_URL=url)
    assert printed == "0 3 the red car 12 pixels\n"


def test_the_overlay_tints_the_masks_of_a_tracked_clip(tmp_path: Path) -> None:
    clip, drawn = tmp_path / "clip.mp4", tmp_path / "drawn.mp4"
    with open_clip(str(CLIP)) as reader, VideoWriter(clip, fps=30) as writer:
        for index, picture in zip(range(CLIP_FRAMES), reader.frames(), strict=False):
            assert picture is not None
            writer.write(picture.pixels, index / 30)
    done = saccade(
        "track", clip.name, "--query", PHRASE, "--out", "out", cwd=tmp_path, SACCADE_CACHE_DIR=str(CACHE)
    )
    assert done.returncode == 0, done.stderr
    run("overlay_supervision.py", clip.name, "out/results.jsonl", drawn.name, folder=tmp_path)
    lines = (tmp_path / "out" / "results.jsonl").read_bytes().splitlines()
    results = [wire.decode(FrameResult, line) for line in lines]
    before, after = images(clip), images(drawn)
    assert len(before) == len(after) == len(results) == CLIP_FRAMES
    masked = [
        (index, decode_mask(track.mask))
        for index, result in enumerate(results)
        for track in result.tracks
        if track.mask is not None
    ]
    assert masked
    for index, mask in masked:
        change = np.abs(before[index].astype(int) - after[index].astype(int)).mean(axis=2)
        # Outside of the masks are the label, the outline and what the codec changes.
        assert change[mask].mean() > 3 * change[~mask].mean(), f"frame {index}"


def images(path: Path) -> list[Pixels]:
    """Return all frames of a clip, RGB."""
    with open_clip(str(path)) as reader:
        return [picture.pixels for picture in reader.frames() if picture is not None]
