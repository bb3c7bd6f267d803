"""Our side of the bench: the product's own tracker, its parts counted."""

from __future__ import annotations

from engines.backends.torch_backend import TorchBackend
from engines.geometry import mask_iou
from engines.tracking.checkpoints import load_tracker_weights
from engines.tracking.compilation import compile_tracker
from engines.tracking.memory_policy import PRODUCT
from lab.benchmarks.candidates import PARTS, Ours
from lab.benchmarks.timing import CpuClock, Stopwatch
from lab.benchmarks.tracker_clip import bench_clip


def test_ours_follows_every_thing_it_was_given() -> None:
    clip = bench_clip(2, 3)
    compiled = compile_tracker(load_tracker_weights("nano"), TorchBackend())
    ours, watch = Ours(compiled, "float32", PRODUCT), Stopwatch(CpuClock())
    run = ours.start(clip, watch)
    held = run.held_bytes()
    for index in (1, 2):
        masks = run.masks(run.step(index))
    assert ours.name == "torch"
    for mask, given in zip(masks, clip.given, strict=True):
        assert mask is not None and mask_iou(mask, given) > 0.6
    assert set(watch.lap()) <= set(PARTS) and held > 0
