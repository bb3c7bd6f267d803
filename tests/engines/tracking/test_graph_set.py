"""The graphs of a checkpoint: sizes, ports and fingerprint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engines.tracking.calibration import DATA_FILE
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compilation import tracker_graphs
from engines.tracking.compiled import GRAPH_SOURCES
from engines.tracking.graph_set import fingerprint_of, tracker_shape
from lab.training.initial_weights import initial_tracker


@pytest.fixture(scope="module")
def weights() -> TrackerWeights:
    return TrackerWeights("fresh", initial_tracker(1).eval().requires_grad_(False))


def test_the_shape_follows_from_the_checkpoint(weights: TrackerWeights) -> None:
    shape = tracker_shape(weights)
    assert (shape.side_px, shape.feature_px, shape.low_res_px, shape.memory_tokens) == (256, 16, 64, 256)
    assert (shape.channels, shape.memory_channels, shape.memories, shape.obj_ptrs) == (128, 64, 6, 8)


def test_every_graph_runs_on_the_examples_of_its_ports(weights: TrackerWeights) -> None:
    for graph in tracker_graphs(weights):
        with torch.inference_mode():
            outputs = graph.module(*graph.examples())
        assert len(outputs) == len(graph.outputs)


def test_the_fingerprint_changes_with_one_weight(weights: TrackerWeights) -> None:
    before = tracker_graphs(weights)[0].fingerprint
    other = initial_tracker(1).eval()
    assert tracker_graphs(TrackerWeights("same", other))[0].fingerprint == before
    with torch.no_grad():
        other.mask_decoder.iou_token.weight[0, 0] += 1e-3
    assert tracker_graphs(TrackerWeights("other", other))[0].fingerprint != before


def test_the_fingerprint_changes_with_the_int8_calibration_data(
    weights: TrackerWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint_of(weights)
    changed = tmp_path / DATA_FILE.name
    changed.write_bytes(DATA_FILE.read_bytes() + b"x")
    sources = [changed if path == DATA_FILE else path for path in GRAPH_SOURCES]
    monkeypatch.setattr("engines.tracking.graph_set.GRAPH_SOURCES", sources)
    assert fingerprint_of(weights) != before
