"""Laws of the choice of device and dtype."""

from __future__ import annotations

import pytest
import torch

from engines.grounding.devices import choose_device, choose_dtype
from streaming.errors import BackendUnavailable

CPU = torch.device("cpu")
HALF, WHOLE = torch.zeros(1, dtype=torch.bfloat16), torch.zeros(1)


def test_the_cpu_is_always_available() -> None:
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["toaster", "cuda:99", ""])
def test_a_missing_device_is_an_error(name: str) -> None:
    with pytest.raises(BackendUnavailable, match="model_device"):
        choose_device(name)


def test_a_named_dtype_is_used() -> None:
    assert choose_dtype("float32", CPU, [HALF]) == torch.float32
    assert choose_dtype("bfloat16", CPU, [WHOLE]) == torch.bfloat16


def test_auto_is_float32_if_the_file_has_no_bfloat16() -> None:
    """Also for nano's float16: it was measured in float32."""
    assert choose_dtype("auto", CPU, [WHOLE, torch.zeros(1, dtype=torch.float16)]) == torch.float32


def test_auto_is_bfloat16_only_if_the_device_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for has_it, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has_it=has_it: has_it)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        assert choose_dtype("auto", CPU, [WHOLE, HALF]) == dtype
