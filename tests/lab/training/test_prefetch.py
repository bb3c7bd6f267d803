"""Whoever draws, the batches are the same and come in the same order."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch

from lab.training.batches import draw_batch
from lab.training.prefetch import feed, painters_for
from lab.training.trainable_grounder import fresh_grounder
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import draw_clip

draw = partial(draw_clip, frames=1, size=(32, 32))


@pytest.mark.parametrize("painters", [0, 2])
def test_orders_without_end_are_drawn_in_their_order(painters: int) -> None:
    fed = feed(draw, itertools.count(5), painters)
    for seed, clip in enumerate(itertools.islice(fed, 12), start=5):
        np.testing.assert_array_equal(clip.frames, draw(seed).frames)


@pytest.mark.parametrize("painters", [0, 1])
def test_orders_with_an_end_are_all_drawn(painters: int) -> None:
    assert [clip.seed for clip in feed(draw, range(6), painters)] == list(range(6))


def test_batches_of_tensors_travel_between_processes() -> None:
    template = fresh_grounder().template
    drawn = partial(draw_batch, template=template, level=CURRICULUM[0], window=False, referring=3)
    (fed,) = feed(drawn, [range(7, 9)], 1)
    here = drawn(range(7, 9))
    assert torch.equal(fed.pixels, here.pixels) and torch.equal(fed.packed.ids, here.packed.ids)


def test_what_a_painter_fails_at_is_said_here() -> None:
    with pytest.raises(ValueError, match="domain"):
        next(feed(math.sqrt, [-3.0], 1))


def test_a_gpu_has_painters_and_a_cpu_draws_for_itself() -> None:
    assert painters_for(torch.device("cpu")) == 0
    assert painters_for(torch.device("cuda")) >= 1
