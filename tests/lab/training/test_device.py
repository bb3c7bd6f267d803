"""Laws of the training device; torch's meta device, which has shapes and no numbers, replaces the GPU."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from lab.training import device
from lab.training.device import mixed_precision, to_device, training_device

CPU, META = torch.device("cpu"), torch.device("meta")


@dataclass(frozen=True)
class Inner:
    ids: Tensor
    length: int


@dataclass(frozen=True)
class Outer:
    pixels: Tensor
    inner: Inner
    texts: tuple[str, ...]


@pytest.mark.parametrize(("has_gpu", "expected"), [(True, "cuda"), (False, "cpu")])
def test_a_gpu_is_preferred(has_gpu: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert training_device().type == expected


def test_all_tensors_of_a_batch_are_moved_and_other_fields_stay() -> None:
    batch = Outer(torch.zeros(2, 3), Inner(torch.zeros(4, dtype=torch.int64), 4), ("the red one",))
    moved = to_device(batch, META)
    assert moved.pixels.device == moved.inner.ids.device == META
    assert (moved.pixels.shape, moved.inner.ids.dtype) == (batch.pixels.shape, torch.int64)
    assert (moved.inner.length, moved.texts) == (4, ("the red one",))


def test_tensors_in_dicts_are_moved() -> None:
    assert to_device({0: torch.zeros(1), 3: torch.zeros(1)}, META)[3].device == META


def test_tensors_on_their_device_are_not_copied() -> None:
    one = torch.zeros(3)
    assert to_device({0: one}, CPU)[0] is one


@pytest.mark.parametrize(
    ("has_bfloat16", "expected"), [(True, torch.bfloat16), (False, torch.float32)], ids=["native", "emulated"]
)
def test_mixed_precision_multiplies_in_bfloat16_where_that_is_native_and_keeps_weights_float32(
    has_bfloat16: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "computes_bfloat16", lambda _: has_bfloat16)
    layer = torch.nn.Linear(4, 4)
    with mixed_precision(CPU):
        assert layer(torch.zeros(1, 4)).dtype == expected
    assert layer.weight.dtype == torch.float32
