"""Where training runs: the GPU that torch sees, else the CPU. Batches are drawn on the CPU and moved."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

Moved = TypeVar("Moved")


def training_device() -> torch.device:
    """The one device of a run."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed_precision(device: torch.device) -> torch.autocast:
    """Within it, a model on that device multiplies in bfloat16; its weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16)


def to_device(batch: Moved, device: torch.device) -> Moved:
    """The same with its tensors on a device: a tensor, or a dict or dataclass of such, however deep."""
    moved: Any = batch
    if isinstance(batch, Tensor):
        moved = batch.to(device)
    elif isinstance(batch, dict):
        moved = {name: to_device(value, device) for name, value in batch.items()}
    elif is_dataclass(batch) and not isinstance(batch, type):
        moved = replace(
            batch, **{field.name: to_device(getattr(batch, field.name), device) for field in fields(batch)}
        )
    return moved  # type: ignore[no-any-return]
