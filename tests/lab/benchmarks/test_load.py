"""The load test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.benchmarks.load import prompt_to_mask_ratio, rate_ratio, weights_bytes
from lab.benchmarks.load_queries import LoadRow, StreamRow
from lab.benchmarks.rates import IntervalRates
from tests.servers import ROOT, go2rtc
from tests.up import CACHE, START_S


def row(p95_s: float | None, *rates: float) -> LoadRow:
    streams = tuple(
        StreamRow("s", fps, None, 0, 1.0, IntervalRates(1, 1, None), IntervalRates(1, 2 * fps, None))
        for fps in rates
    )
    return LoadRow("", 1, 1, 1, 1, p95_s, p95_s, None, None, streams, {})


def test_all_streams_are_compared_with_a_single_stream_between_its_answers() -> None:
    rows = [row(0.2, 10.0), row(0.5, 15.0, 12.0), row(0.9, 1.0)]
    assert prompt_to_mask_ratio(rows) == 2.5
    assert rate_ratio(rows) == 12 / 20


@pytest.mark.parametrize("rows", [[row(0.2, 10.0)], [row(None, 0.0), row(0.5, 15.0)], [row(0.2, 0.0)]])
def test_without_figures_to_compare_there_is_no_ratio(rows: list[LoadRow]) -> None:
    assert (prompt_to_mask_ratio(rows), rate_ratio(rows)) == (None, None)


def test_the_weights_size_is_that_of_the_safetensors_files(tmp_path: Path) -> None:
    for name, size in (("a.safetensors", 300), ("b.safetensors", 50), ("config.json", 7)):
        (tmp_path / name).write_bytes(b"0" * size)
    assert weights_bytes(str(tmp_path)) == 350
    assert weights_bytes("owner/name@commit") is None
    nano = weights_bytes("nano")
    assert nano is not None and nano > 1_000_000


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_all_queries_of_all_streams_are_answered_and_a_stopped_camera_affects_no_other() -> None:
    go2rtc()
    shape = [
        "--streams",
        "2",
        "--queries",
        "3",
        "--fps",
        "4",
        "--rounds",
        "1",
        "--seconds",
        "1",
        "--patience",
        "30",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "actors", "bench", "load", *shape, "--json"],
        cwd=ROOT,
        env=os.environ | {"SACCADE_CACHE_DIR": str(CACHE)},
        capture_output=True,
        text=True,
        timeout=START_S + 120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    alone, together, gone = report["rows"]
    assert [len(one["streams"]) for one in report["rows"]] == [1, 2, 1]
    assert [one["asked"] for one in report["rows"]] == [4, 3, 2]
    for one in (alone, together, gone):
        assert one["answered"] == one["asked"], "every query is answered"
        assert all(stream["fps"] > 0 for stream in one["streams"])
    assert report["prompt_to_mask_ratio"] > 0 and report["rate_ratio"] > 0
    assert report["grounder_answered_bytes"] > report["weights_bytes"] > 0
