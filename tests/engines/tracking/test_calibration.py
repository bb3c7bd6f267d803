"""What int8's ranges come from: inputs as a tracker has them."""

from __future__ import annotations

import numpy as np
import pytest

from engines.tracking.calibration import PICTURES, picture_inputs, track_inputs
from engines.tracking.checkpoints import TrackerWeights, load_tracker_weights
from engines.tracking.graph_set import tracker_graphs
from engines.tracking.shape import EMPTY_SLOT


@pytest.fixture(scope="module")
def weights() -> TrackerWeights:
    return load_tracker_weights("nano")


def test_pictures_are_scenes_that_differ_and_are_the_same_each_time() -> None:
    pictures = [picture for (picture,) in picture_inputs(128)]
    assert len(pictures) == PICTURES
    assert {(one.shape, one.dtype) for one in pictures} == {((1, 128, 128, 3), np.dtype(np.uint8))}
    assert len({one.tobytes() for one in pictures}) == PICTURES
    assert all(
        np.array_equal(*pair) for pair in zip(pictures, (p for (p,) in picture_inputs(128)), strict=True)
    )


def test_steps_are_calls_of_the_track_graph_with_memories_few_and_many(weights: TrackerWeights) -> None:
    (graph,) = [one for one in tracker_graphs(weights) if one.name == "track"]
    calls = track_inputs(weights)
    empty = []
    for call in calls:
        named = dict(zip((port.name for port in graph.ports), call, strict=True))
        for port in graph.ports:
            wanted = tuple(1 if size is None else size for size in port.shape)
            assert (named[port.name].shape, named[port.name].dtype) == (wanted, np.dtype(port.dtype))
        empty.append(int((named["pointer_bias"] == EMPTY_SLOT).sum()))
    assert len(calls) >= 12
    assert min(empty) < max(empty), "some while memories fill, some when they are there"


def test_what_gains_by_int8_is_what_is_calibrated(weights: TrackerWeights) -> None:
    calibrated = {graph.name for graph in tracker_graphs(weights) if graph.calibration is not None}
    assert calibrated == {"encode", "track"}
