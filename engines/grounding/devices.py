"""Choice of device and dtype for a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import torch
from torch import Tensor

from streaming.errors import BackendUnavailable

DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """Return the torch device of that name. Raises BackendUnavailable if this machine does not have it."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as exc:
        raise BackendUnavailable(
            f"There is no device {name!r} here.", remedy="Set model_device to cpu, cuda or cuda:N."
        ) from exc
    return device


def choose_dtype(
    name: Literal["auto", "float32", "bfloat16"], device: torch.device, tensors: Iterable[Tensor]
) -> torch.dtype:
    """Return the dtype of that name; `auto` is bfloat16 if the file has bfloat16 tensors and the device
    computes in bfloat16, else float32."""
    if name != "auto":
        return DTYPES[name]
    has_bfloat16 = any(tensor.dtype == torch.bfloat16 for tensor in tensors)
    return torch.bfloat16 if has_bfloat16 and computes_bfloat16(device) else torch.float32


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions for products of bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Without these instructions a CPU converts to float32 and back, slower than float32 throughout.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
