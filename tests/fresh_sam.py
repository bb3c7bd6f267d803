"""Random memories for a SAM-2 of nano's shape."""

from __future__ import annotations

import torch

from engines.tracking.shape import EMPTY_SLOT

SLOTS, OBJ_PTRS = 4, 8


def random_bank(objects: int, seed: int = 0) -> list[torch.Tensor]:
    """Two conditioning memories, one recent memory and three object pointers; empty slots hold noise."""
    generator = torch.Generator().manual_seed(seed)
    memory = torch.randn(objects, SLOTS, 256, 64, generator=generator)
    obj_ptr = torch.randn(objects, OBJ_PTRS, 128, generator=generator)
    memory_bias = torch.tensor([0.0, 0.0, 0.0, EMPTY_SLOT]).expand(objects, -1)
    obj_ptr_bias = torch.tensor([0.0] * 3 + [EMPTY_SLOT] * 5).expand(objects, -1)
    age = torch.tensor([0, 0, 1, 2]).expand(objects, -1)
    obj_ptr_age = torch.tensor([4.0, 2.0, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0]).expand(objects, -1)
    return [memory, age, memory_bias, obj_ptr, obj_ptr_age, obj_ptr_bias]
