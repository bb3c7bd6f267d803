"""Whoever draws, the batches are the same and come in the same order."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from engines.training.feeding import feed, painters_for


@dataclass(frozen=True, slots=True)
class Picture:
    pixels: Tensor
    painter: int


def draw(seed: int) -> Picture:
    generator = torch.Generator().manual_seed(seed)
    return Picture(torch.rand(3, generator=generator), os.getpid())


@pytest.mark.parametrize("painters", [0, 1, 2])
def test_orders_without_end_are_drawn_in_their_order(painters: int) -> None:
    pictures = list(itertools.islice(feed(draw, itertools.count(5), painters), 12))
    assert all(
        torch.equal(picture.pixels, draw(seed).pixels) for seed, picture in enumerate(pictures, start=5)
    )
    assert len({picture.painter for picture in pictures} - {os.getpid()}) == painters


def test_what_a_painter_fails_at_is_said_here() -> None:
    def fail(order: int) -> Picture:
        raise ValueError(f"no picture {order}")

    with pytest.raises(ValueError, match="no picture 3"):
        next(feed(fail, [3], 1))


def test_a_gpu_has_painters_and_a_cpu_draws_for_itself() -> None:
    assert painters_for(torch.device("cpu")) == 0
    assert painters_for(torch.device("cuda")) >= 1
