"""Laws of where and in which numbers."""

from __future__ import annotations

import pytest
import torch

from engines.grounding.devices import choose_device, choose_dtype
from streaming.errors import BackendUnavailable

CPU = torch.device("cpu")
HALF, WHOLE = torch.zeros(1, dtype=torch.bfloat16), torch.zeros(1)


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["toaster", "cuda:99", ""])
def test_a_device_that_is_not_there_is_said(name: str) -> None:
    with pytest.raises(BackendUnavailable, match="model_device"):
        choose_device(name)


def test_what_is_named_is_taken() -> None:
    assert choose_dtype("float32", CPU, [HALF]) == torch.float32
    assert choose_dtype("bfloat16", CPU, [WHOLE]) == torch.bfloat16


def test_float32_stays_what_the_file_does_not_have_in_bfloat16() -> None:
    """nano's float16 among others: it was measured in float32."""
    assert choose_dtype("auto", CPU, [WHOLE, torch.zeros(1, dtype=torch.float16)]) == torch.float32


def test_bfloat16_is_for_machines_that_compute_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for has_it, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has_it=has_it: has_it)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        assert choose_dtype("auto", CPU, [WHOLE, HALF]) == dtype
