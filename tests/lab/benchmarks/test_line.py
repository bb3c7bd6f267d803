"""The bench of the whole line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from engines.masks import encode_mask
from lab.benchmarks.line import most_seen, shows
from lab.demo.scene import Truth, load_truth
from streaming.vocabulary import (
    Clock,
    FrameResult,
    Latency,
    MaskRle,
    Query,
    QueryId,
    StreamId,
    Track,
    TrackId,
    TrackState,
)
from tests.servers import ROOT, go2rtc
from tests.up import CACHE, START_S

S = StreamId("line")


def test_what_is_always_in_sight_comes_before_what_leaves() -> None:
    here, gone = encode_mask(np.ones((4, 4), bool)), encode_mask(np.zeros((4, 4), bool))
    masks = tuple((gone if frame < 50 else here, here) for frame in range(100))
    assert most_seen(Truth(60.0, ("red star", "blue ring"), masks)) == ["the blue ring", "the red star"]


def test_three_things_of_the_scene_can_be_followed_all_the_time() -> None:
    truth = load_truth()
    for name in most_seen(truth)[:3]:
        assert all(truth.mask_of(name, frame).any() for frame in range(0, len(truth.masks), 10))


def test_words_show_when_their_own_revision_has_a_mask() -> None:
    track = Track(
        TrackId(1), QueryId("q"), 2, "", TrackState.ACTIVE, 1.0, None, MaskRle((4, 4), "0"), keyframe_index=0
    )
    result = FrameResult(S, 0, 0, 0, Clock.ARRIVAL, 0, 4, 4, 0, Latency(0, 0, 0), (track,))
    assert shows(result, Query(QueryId("q"), S, "the star", revision=2))
    assert not shows(result, Query(QueryId("q"), S, "the star", revision=3))
    assert not shows(result, Query(QueryId("other"), S, "the star", revision=2))
    hidden = replace(result, tracks=(replace(track, mask=None),))
    assert not shows(hidden, Query(QueryId("q"), S, "the star", revision=2))


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_the_line_is_measured_from_a_camera_to_redis() -> None:
    go2rtc()
    arguments = ["bench", "line", "--objects", "1,2", "--seconds", "3", "--edits", "2", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "actors", *arguments],
        cwd=ROOT,
        env=os.environ | {"SACCADE_CACHE_DIR": str(CACHE)},
        capture_output=True,
        text=True,
        timeout=START_S + 120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["source_fps"], report["width"], report["height"]) == (60, 640, 360)
    assert [row["objects"] for row in report["rows"]] == [1, 2]
    for row in report["rows"]:
        assert 0 < row["tracked_fps"] <= 61
        assert 0 < row["frame_age_p50_s"] <= row["frame_age_p95_s"]
        assert row["prompts"] == row["objects"] + 2
        assert row["prompt_to_mask_p50_s"] > 0
        assert row["cores"]["worker"] > 0 and "other programs" in row["cores"]
