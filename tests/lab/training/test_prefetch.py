"""Laws of prefetching: the same batches in the same order, with and without workers."""

from __future__ import annotations

import itertools
import math
import multiprocessing
from functools import partial

import numpy as np
import pytest
import torch

from lab.training.batches import draw_grounding_batch
from lab.training.initial_weights import initial_grounder
from lab.training.prefetch import prefetch, workers_for
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import draw_clip


@pytest.fixture(scope="module", autouse=True)
def preloaded() -> None:
    """Workers are forked from a server: let it import what they need, instead of each of them for seconds."""
    multiprocessing.set_forkserver_preload(["lab.training.batches", "lab.training.prefetch"])


draw = partial(draw_clip, frames=1, size=(32, 32))


@pytest.mark.parametrize("workers", [0, 2])
def test_endless_requests_are_answered_in_order(workers: int) -> None:
    batches = prefetch(draw, itertools.count(5), workers)
    for seed, clip in enumerate(itertools.islice(batches, 12), start=5):
        np.testing.assert_array_equal(clip.frames, draw(seed).frames)


@pytest.mark.parametrize("workers", [0, 1])
def test_all_of_a_finite_number_of_requests_are_answered(workers: int) -> None:
    assert [clip.seed for clip in prefetch(draw, range(6), workers)] == list(range(6))


def test_batches_of_tensors_are_equal_to_those_of_this_process() -> None:
    template = initial_grounder().template
    load = partial(draw_grounding_batch, template=template, level=CURRICULUM[0], window=False, expressions=3)
    (loaded,) = prefetch(load, [range(7, 9)], 1)
    own = load(range(7, 9))
    assert torch.equal(loaded.pixels, own.pixels) and torch.equal(loaded.packed.ids, own.packed.ids)


def test_an_exception_of_a_worker_is_raised_here() -> None:
    with pytest.raises(ValueError, match="domain"):
        next(prefetch(math.sqrt, [-3.0], 1))


def test_training_on_a_gpu_has_workers_and_on_a_cpu_none() -> None:
    assert workers_for(torch.device("cpu")) == 0
    assert workers_for(torch.device("cuda")) >= 1
