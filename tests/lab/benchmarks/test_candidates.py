"""Saccade's tracker as a candidate of the benchmark."""

from __future__ import annotations

from engines.backends.torch_backend import TorchBackend
from engines.geometry import mask_iou
from engines.tracking.checkpoints import load_tracker_weights
from engines.tracking.compilation import compile_tracker
from engines.tracking.memory_policy import PRODUCT
from lab.benchmarks.candidates import PARTS, SaccadeCandidate
from lab.benchmarks.timing import CpuClock, Stopwatch
from lab.benchmarks.tracker_clip import bench_clip


def test_saccades_tracker_tracks_every_object_and_times_its_parts() -> None:
    clip = bench_clip(2, 3)
    compiled = compile_tracker(load_tracker_weights("nano"), TorchBackend())
    candidate, watch = SaccadeCandidate(compiled, "float32", PRODUCT), Stopwatch(CpuClock())
    run = candidate.start(clip, watch)
    held = run.held_bytes()
    for index in (1, 2):
        masks = run.masks(run.step(index))
    assert candidate.name == "torch"
    for mask, first in zip(masks, clip.masks, strict=True):
        assert mask is not None and mask_iou(mask, first) > 0.6
    assert set(watch.lap()) <= set(PARTS) and held > 0
