"""The benchmark of the whole service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from engines.masks import encode_mask
from lab.benchmarks.line import has_mask, most_visible
from lab.demo.ground_truth import GroundTruth, load_ground_truth
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


def test_objects_visible_on_more_frames_come_first() -> None:
    visible, empty = encode_mask(np.ones((4, 4), bool)), encode_mask(np.zeros((4, 4), bool))
    masks = tuple((empty if frame < 50 else visible, visible) for frame in range(100))
    assert most_visible(GroundTruth(60.0, ("red star", "blue ring"), masks)) == [
        "the blue ring",
        "the red star",
    ]


def test_three_objects_of_the_scene_are_always_visible() -> None:
    truth = load_ground_truth()
    for text in most_visible(truth)[:3]:
        assert all(truth.mask_of(text, frame).any() for frame in range(0, len(truth.masks), 10))


def test_only_a_mask_of_the_same_revision_counts() -> None:
    track = Track(
        TrackId(1), QueryId("q"), 2, "", TrackState.ACTIVE, 1.0, None, MaskRle((4, 4), "0"), keyframe_index=0
    )
    result = FrameResult(S, 0, 0, 0, Clock.ARRIVAL, 0, 4, 4, 0, Latency(0, 0, 0), (track,))
    assert has_mask(result, Query(QueryId("q"), S, "the star", revision=2))
    assert not has_mask(result, Query(QueryId("q"), S, "the star", revision=3))
    assert not has_mask(result, Query(QueryId("other"), S, "the star", revision=2))
    hidden = replace(result, tracks=(replace(track, mask=None),))
    assert not has_mask(hidden, Query(QueryId("q"), S, "the star", revision=2))


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_the_line_is_measured_from_a_camera_to_redis() -> None:
    go2rtc()
    arguments = ["bench", "line", "--objects", "1,2", "--seconds", "2", "--edits", "1", "--json"]
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
        assert row["prompts"] == row["objects"] + 1
        assert row["prompt_to_mask_p50_s"] > 0
        assert row["cores"]["worker"] > 0 and "other programs" in row["cores"]
