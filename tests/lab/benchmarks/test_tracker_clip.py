"""The clip of the bench."""

from __future__ import annotations

import numpy as np
import pytest

from lab.benchmarks.tracker_clip import SIZE, bench_clip


@pytest.mark.parametrize("objects", [1, 5, 16])
def test_as_many_things_are_given_as_are_wanted_and_no_two_are_one(objects: int) -> None:
    clip = bench_clip(objects, 2)
    assert clip.frames.shape == (2, *SIZE, 3) and clip.given.shape == (objects, *SIZE)
    assert clip.given.any(axis=(1, 2)).all()
    assert len({mask.tobytes() for mask in clip.given}) == objects


def test_a_model_is_shown_and_told_the_same_at_its_own_size() -> None:
    clip = bench_clip(1, 2)
    assert [square.shape for square in clip.squares(128)] == [(128, 128, 3)] * 2
    assert clip.prompts(128).shape == (1, 128, 128) and set(np.unique(clip.prompts(128))) == {0.0, 1.0}
    assert clip.prompts(128).mean() == pytest.approx(clip.given.mean(), rel=0.1)
    assert ((clip.logits() > 0) == clip.given).all()
