"""The tracker benchmark's clip."""

from __future__ import annotations

import numpy as np
import pytest

from lab.benchmarks.tracker_clip import SIZE, bench_clip


@pytest.mark.parametrize("objects", [1, 5, 16])
def test_there_are_as_many_different_masks_as_asked_for(objects: int) -> None:
    clip = bench_clip(objects, 2)
    assert clip.frames.shape == (2, *SIZE, 3) and clip.masks.shape == (objects, *SIZE)
    assert clip.masks.any(axis=(1, 2)).all()
    assert len({mask.tobytes() for mask in clip.masks}) == objects


def test_frames_and_masks_are_resized_to_the_models_input() -> None:
    clip = bench_clip(1, 2)
    assert [square.shape for square in clip.squares(128)] == [(128, 128, 3)] * 2
    assert clip.prompts(128).shape == (1, 128, 128) and set(np.unique(clip.prompts(128))) == {0.0, 1.0}
    assert clip.prompts(128).mean() == pytest.approx(clip.masks.mean(), rel=0.1)
    assert ((clip.logits() > 0) == clip.masks).all()
