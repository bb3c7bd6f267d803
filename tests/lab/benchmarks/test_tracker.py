"""The bench: everybody on the same pictures, masks compared."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from engines.tracking.checkpoints import save_tracker
from lab.benchmarks.candidates import PARTS
from lab.benchmarks.tracker import OTHER, BenchOptions, BenchReport, bench_tracker
from lab.training.tracker_recipe import fresh_tracker
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


def test_everybody_runs_and_peers_in_two_precisions(report: BenchReport) -> None:
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


def test_ours_sees_in_float32_what_both_peers_see(report: BenchReport) -> None:
    ours = report.rows[0]
    assert min(ours.mask_iou.values()) > 0.99 and ours.seen == 1.0


def test_ours_is_compared_with_the_faster_precision_of_a_peer(report: BenchReport) -> None:
    ours, *theirs = report.rows
    for peer, times in ours.times_as_fast.items():
        fastest_ms = min(row.frame_ms for row in theirs if row.engine == peer)
        assert times == pytest.approx(fastest_ms / ours.frame_ms, rel=0.02)
        assert max(row.times_as_fast[peer] for row in theirs if row.engine == peer) == 1.0


def test_a_frame_is_made_of_parts_for_everybody(report: BenchReport) -> None:
    for row in report.rows:
        assert tuple(row.parts_ms) == (*PARTS, OTHER)
        assert all(row.parts_ms[part] > 0 for part in PARTS)
        assert sum(row.parts_ms[part] for part in PARTS) < 2 * row.frame_ms


def test_ours_keeps_as_much_on_every_frame_and_peers_keep_more(report: BenchReport) -> None:
    ours, *theirs = report.rows
    assert ours.held_bytes > 0 and ours.grown_bytes == 0
    assert all(row.grown_bytes > 0 for row in theirs)


def test_nano_is_raced_by_the_rules_it_was_taught(tmp_path: Path) -> None:
    save_tracker(fresh_tracker(1), tmp_path)
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
def test_what_cannot_be_raced_is_refused_before_anything_is_compiled(
    options: BenchOptions, error: type[Exception]
) -> None:
    with pytest.raises(error):
        bench_tracker(options)
