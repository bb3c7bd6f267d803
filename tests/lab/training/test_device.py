"""Where training runs. Torch's `meta` device, which has shapes and no numbers, stands for a GPU."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from lab.training.device import mixed_precision, to_device, training_device

CPU, ELSEWHERE = torch.device("cpu"), torch.device("meta")


@dataclass(frozen=True)
class Inner:
    ids: Tensor
    length: int


@dataclass(frozen=True)
class Outer:
    pixels: Tensor
    inner: Inner
    said: tuple[str, ...]


@pytest.mark.parametrize(("has_gpu", "wanted"), [(True, "cuda"), (False, "cpu")])
def test_a_gpu_is_used_where_there_is_one(
    has_gpu: bool, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert training_device().type == wanted


def test_every_tensor_of_a_batch_is_moved_and_the_rest_stays() -> None:
    batch = Outer(torch.zeros(2, 3), Inner(torch.zeros(4, dtype=torch.int64), 4), ("the red one",))
    moved = to_device(batch, ELSEWHERE)
    assert moved.pixels.device == moved.inner.ids.device == ELSEWHERE
    assert (moved.pixels.shape, moved.inner.ids.dtype) == (batch.pixels.shape, torch.int64)
    assert (moved.inner.length, moved.said) == (4, ("the red one",))


def test_prompts_by_frame_are_moved() -> None:
    assert to_device({0: torch.zeros(1), 3: torch.zeros(1)}, ELSEWHERE)[3].device == ELSEWHERE


def test_on_the_cpu_nothing_is_copied() -> None:
    one = torch.zeros(3)
    assert to_device({0: one}, CPU)[0] is one


def test_products_are_bfloat16_and_weights_stay_float32() -> None:
    layer = torch.nn.Linear(4, 4)
    with mixed_precision(CPU):
        assert layer(torch.zeros(1, 4)).dtype == torch.bfloat16
    assert layer.weight.dtype == torch.float32
