"""The endless clip, and the constant size of the tracker on it."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from types import FunctionType, MethodType, ModuleType

import numpy as np
import pytest

from lab.benchmarks.endless_clip import EndlessClip, SaccadeRun
from lab.training.world.holdout import Split
from lab.training.world.scenes import draw_clip
from tests.colour_sam import ColourSam

NOT_COUNTED = (type, ModuleType, FunctionType, MethodType, int)
"Classes, code, and numbers, of which Python shares the small ones."


@pytest.fixture(scope="module")
def clip() -> EndlessClip:
    return EndlessClip(draw_clip(Split.UNSEEN.first_seed + 1, frames=4, size=(64, 64)))


def held(root: object) -> tuple[int, int]:
    """Number of Python objects reachable from `root`, and the size of its arrays in bytes."""
    seen: dict[int, object] = {}
    waiting: list[object] = [root]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen and not isinstance(one, NOT_COUNTED):
            seen[id(one)] = one
            waiting += gc.get_referents(one)
    arrays: Iterable[np.ndarray] = (one for one in seen.values() if isinstance(one, np.ndarray))
    return len(seen), sum(one.nbytes for one in arrays)


def test_the_clip_runs_forwards_and_backwards(clip: EndlessClip) -> None:
    frames = [clip.frame(index) for index in range(7)]
    for index, twin in {4: 2, 5: 1, 6: 0}.items():
        np.testing.assert_array_equal(frames[index], frames[twin])
    np.testing.assert_array_equal(clip.frame(6 * 1000 + 2), frames[2])


def test_objects_are_replaced_and_never_exceed_the_capacity(clip: EndlessClip) -> None:
    run = SaccadeRun(ColourSam().compiled(), clip, objects=2, replace_every=3)
    for index in range(30):
        run.step(index)
    objects = run.tracker._objects
    assert {each.query_id for each in objects} == {"q000008", "q000009"}
    assert run.tracker.counts.refused_objects == 0


def test_the_trackers_size_stops_growing(clip: EndlessClip) -> None:
    """Exactly: once every query slot was reused, the numbers of objects and bytes stay equal."""
    run = SaccadeRun(ColourSam().compiled(), clip, objects=2, replace_every=2)
    lap, sizes = 600, []
    for index in range(2 * lap + 1):
        run.step(index)
        if index in (lap, 2 * lap):
            sizes.append(held(run.tracker))
    assert sizes[0] == sizes[1]
