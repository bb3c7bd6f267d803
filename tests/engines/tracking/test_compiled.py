"""A checkpoint's graphs, compiled and ready to share."""

from __future__ import annotations

import numpy as np
import pytest

from engines.backends.torch_backend import TorchBackend
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compiled import compile_tracker
from engines.tracking.tracker import SamTracker
from lab.evaluation.propagation import given_answer
from lab.training.tracker_recipe import fresh_tracker
from lab.training.world.scenes import draw_clip
from streaming.vocabulary import Clock, Frame, StreamId


@pytest.fixture(scope="module")
def weights() -> TrackerWeights:
    return TrackerWeights("fresh", fresh_tracker(1).eval().requires_grad_(False))


def test_streams_that_share_a_compiled_tracker_do_not_share_memory(weights: TrackerWeights) -> None:
    compiled = compile_tracker(weights, TorchBackend())
    clip = draw_clip(5, frames=3)

    def run(tracker: SamTracker, index: int, *, first: bool = False) -> list[object]:
        frame = Frame(StreamId("s"), index, clip.frames[index], 0.0, 0.0, Clock.ARRIVAL)
        tracks = tracker.step(frame, [given_answer(clip.masks[0, :2])] if first else [])
        tracker.pin(index)
        return [(track.score, track.mask) for track in tracks]

    alone, beside, other = (SamTracker(compiled) for _ in range(3))
    expected = [run(alone, 0), run(alone, 1, first=True), run(alone, 2)]
    seen = [run(beside, 0)]
    run(other, 0)
    seen.append(run(beside, 1, first=True))
    run(other, 2, first=True)
    seen.append(run(beside, 2))
    assert seen == expected and len(seen[-1]) == 2


def test_compiling_leaves_a_model_in_training_able_to_learn() -> None:
    model = fresh_tracker(1)
    compile_tracker(TrackerWeights("training", model), TorchBackend())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert np.isfinite(float(model.no_memory_embedding.sum().detach()))
