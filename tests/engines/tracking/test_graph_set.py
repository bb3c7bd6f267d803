"""What is compiled of a checkpoint."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

import engines.tracking
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compiled import GRAPH_CODE
from engines.tracking.graph_set import tracker_graphs, tracker_shape
from lab.training.tracker_recipe import fresh_tracker


@pytest.fixture(scope="module")
def weights() -> TrackerWeights:
    return TrackerWeights("fresh", fresh_tracker(1).eval().requires_grad_(False))


def test_sizes_follow_from_the_checkpoint(weights: TrackerWeights) -> None:
    shape = tracker_shape(weights)
    assert (shape.side_px, shape.map_px, shape.low_px, shape.places) == (256, 16, 64, 256)
    assert (shape.channels, shape.memory_channels, shape.memories, shape.pointers) == (128, 64, 4, 8)


def test_every_graph_runs_on_the_examples_of_its_ports(weights: TrackerWeights) -> None:
    for graph in tracker_graphs(weights):
        with torch.inference_mode():
            outputs = graph.module(*graph.examples())
        assert len(outputs) == len(graph.outputs)


def test_the_fingerprint_changes_with_one_weight(weights: TrackerWeights) -> None:
    before = tracker_graphs(weights)[0].fingerprint
    other = fresh_tracker(1).eval()
    assert tracker_graphs(TrackerWeights("same", other))[0].fingerprint == before
    with torch.no_grad():
        other.mask_decoder.iou_token.weight[0, 0] += 1e-3
    assert tracker_graphs(TrackerWeights("other", other))[0].fingerprint != before


def test_what_was_compiled_is_known_by_all_the_code_that_graphs_are_made_by() -> None:
    """Else what was compiled before a change of it would be taken for what it makes now."""
    folder = Path(str(engines.tracking.__file__)).parent
    reached, waiting = set(), ["graphs", "hiera", "repvit"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        parts = ast.walk(ast.parse((folder / f"{name}.py").read_text()))
        imported = [part.module or "" for part in parts if isinstance(part, ast.ImportFrom)]
        inside = {module.rpartition(".")[2] for module in imported if module.startswith("engines.tracking.")}
        waiting += inside - reached
    assert reached <= set(GRAPH_CODE)
