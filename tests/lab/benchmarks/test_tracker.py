"""The tracker benchmark on a small random SAM 2.1: rows, ratios, agreement of masks."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from lab.benchmarks.candidates import PARTS
from lab.benchmarks.tracker import OTHER, BenchOptions, BenchReport, bench_tracker
from lab.training.export import save_tracker
from lab.training.initial_weights import initial_tracker
from streaming.errors import BackendUnavailable, InvalidSettings, NotFound

WITH_SAM2 = importlib.util.find_spec("sam2") is not None


@pytest.fixture(scope="module")
def report() -> BenchReport:
    if not WITH_SAM2:
        pytest.skip("the package sam2 is not installed: `make test` does that")
    options = BenchOptions(
        model="sam2.1-tiny",
        side_px=128,
        objects=(2,),
        backends=("torch",),
        against=("transformers", "sam2"),
        frames=2,
    )
    return bench_tracker(options)


def test_every_candidate_has_a_row_and_baselines_one_per_precision(report: BenchReport) -> None:
    assert [(row.engine, row.precision) for row in report.rows] == [
        ("torch", "float32"),
        ("transformers", "float32"),
        ("transformers", "bfloat16"),
        ("sam2", "float32"),
        ("sam2", "bfloat16"),
    ]
    assert all(row.objects == 2 and row.frame_ms > 0 and row.fps > 0 for row in report.rows)
    assert (report.model, report.side_px, report.frames) == ("sam2.1-tiny", 128, 2)
    assert json.loads(json.dumps(asdict(report)))["device"] == "cpu"


def test_masks_agree_with_both_baselines_in_float32(report: BenchReport) -> None:
    ours = report.rows[0]
    assert min(ours.mask_iou.values()) > 0.99 and ours.seen == 1.0


def test_times_are_compared_with_the_faster_precision_of_a_baseline(report: BenchReport) -> None:
    ours, *theirs = report.rows
    for baseline, times in ours.times_as_fast.items():
        fastest_ms = min(row.frame_ms for row in theirs if row.engine == baseline)
        assert times == pytest.approx(fastest_ms / ours.frame_ms, rel=0.02)
        assert max(row.times_as_fast[baseline] for row in theirs if row.engine == baseline) == 1.0


def test_every_row_divides_the_frame_into_the_same_parts(report: BenchReport) -> None:
    for row in report.rows:
        assert tuple(row.parts_ms) == (*PARTS, OTHER)
        assert all(row.parts_ms[part] > 0 for part in PARTS)
        assert sum(row.parts_ms[part] for part in PARTS) < 2 * row.frame_ms


def test_the_trackers_size_is_constant_and_that_of_baselines_grows(report: BenchReport) -> None:
    ours, *theirs = report.rows
    assert ours.held_bytes > 0 and ours.grown_bytes == 0
    assert all(row.grown_bytes > 0 for row in theirs)


def test_nano_runs_with_the_memory_policy_of_its_training(tmp_path: Path) -> None:
    save_tracker(initial_tracker(1), tmp_path)
    rows = bench_tracker(BenchOptions(model=str(tmp_path), objects=(1,), backends=("torch",), frames=2)).rows
    assert rows[0].mask_iou["transformers"] > 0.95


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            BenchOptions(model="nano", against=("sam2",)),
            (InvalidSettings, BackendUnavailable),
        ),
        (BenchOptions(model="nano", against=("cutie",)), InvalidSettings),
        (BenchOptions(model="sam2.1-tiny", side_px=100), InvalidSettings),
        (BenchOptions(model="/nowhere"), NotFound),
    ],
)
def test_impossible_options_are_refused_before_anything_is_compiled(
    options: BenchOptions, error: type[Exception]
) -> None:
    with pytest.raises(error):
        bench_tracker(options)
