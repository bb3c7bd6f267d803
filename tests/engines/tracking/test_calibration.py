"""int8 calibration: inputs like those that a tracker's graphs get, from data that ships."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from engines.backends.openvino import OpenVinoBackend
from engines.tracking.calibration import DATA_FILE, image_inputs, load_clips, load_images, track_inputs
from engines.tracking.checkpoints import TrackerWeights, load_tracker_weights
from engines.tracking.compilation import tracker_graphs
from engines.tracking.compiled import GRAPH_SOURCES
from engines.tracking.shape import EMPTY_SLOT


@pytest.fixture(scope="module")
def weights() -> TrackerWeights:
    return load_tracker_weights("nano")


def test_image_inputs_are_distinct_scenes_of_the_models_side() -> None:
    images = [image for (image,) in image_inputs(128)]
    assert len(images) == len(load_images()) == 48
    assert {(image.shape, image.dtype) for image in images} == {((1, 128, 128, 3), np.dtype(np.uint8))}
    assert len({image.tobytes() for image in images}) == len(images)


def test_each_clip_has_a_mask_of_an_object_on_its_first_frame() -> None:
    for clip in load_clips():
        assert len(clip.frames) == 9
        assert all(frame.shape == (*clip.mask.shape, 3) for frame in clip.frames)
        assert 0.01 < clip.mask.mean() < 0.9


def test_track_inputs_are_calls_of_the_track_graph_with_few_and_with_many_memories(
    weights: TrackerWeights, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = partial(OpenVinoBackend, cache_dir=exports)
    monkeypatch.setattr("engines.tracking.calibration.OpenVinoBackend", cached)
    (graph,) = [one for one in tracker_graphs(weights) if one.name == "track"]
    calls = track_inputs(weights)
    empty = []
    for call in calls:
        named = dict(zip((port.name for port in graph.ports), call, strict=True))
        for port in graph.ports:
            wanted = tuple(1 if size is None else size for size in port.shape)
            assert (named[port.name].shape, named[port.name].dtype) == (wanted, np.dtype(port.dtype))
        empty.append(int((named["obj_ptr_bias"] == EMPTY_SLOT).sum()))
    assert len(calls) >= 12
    assert min(empty) < max(empty), "some while memories fill, some when all slots are filled"


def test_the_graphs_that_gain_by_int8_are_calibrated(weights: TrackerWeights) -> None:
    calibrated = {graph.name for graph in tracker_graphs(weights) if graph.calibration is not None}
    assert calibrated == {"encode", "track"}


def test_the_cache_key_of_compiled_graphs_includes_the_calibration_data() -> None:
    assert DATA_FILE in GRAPH_SOURCES
