"""The bench: everybody on the same frames, masks compared."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from engines.evaluation.bench import bench_tracker
from engines.tracking.checkpoints import save_tracker
from engines.training.tracker_recipe import fresh_tracker


@pytest.mark.slow
def test_it_times_every_engine_on_the_same_masks(tmp_path: Path) -> None:
    save_tracker(fresh_tracker(1), tmp_path)
    report = bench_tracker((2,), frames=6, weights=str(tmp_path))
    rows = {row.engine: row for row in report.rows}
    assert rows.keys() == {"openvino", "torch", "transformers"}
    assert rows["transformers"].speedup == 1.0 and rows["transformers"].mask_iou == 1.0
    assert rows["torch"].mask_iou > 0.95 and rows["openvino"].mask_iou > 0.8, "bfloat16, random weights"
    assert all(row.objects == 2 and row.frame_ms > 0 and row.fps > 0 for row in report.rows)
    assert {part.part for part in report.parts} == {"resize", "encode", "track", "remember", "draw"}
    assert json.loads(json.dumps(asdict(report)))["frames"] == 6
