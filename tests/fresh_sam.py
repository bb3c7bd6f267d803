"""A SAM-2 of nano's shape with random weights, and memories to put into it."""

from __future__ import annotations

import torch

from engines.tracking.shape import EMPTY_SLOT

SLOTS, POINTERS = 4, 8


def random_bank(objects: int, seed: int = 0) -> list[torch.Tensor]:
    """Two given and one recent memory, three pointers; the rest of the slots is empty but full of noise."""
    generator = torch.Generator().manual_seed(seed)
    memory = torch.randn(objects, SLOTS, 256, 64, generator=generator)
    pointer = torch.randn(objects, POINTERS, 128, generator=generator)
    memory_bias = torch.tensor([0.0, 0.0, 0.0, EMPTY_SLOT]).expand(objects, -1)
    pointer_bias = torch.tensor([0.0] * 3 + [EMPTY_SLOT] * 5).expand(objects, -1)
    age = torch.tensor([0, 0, 1, 2]).expand(objects, -1)
    pointer_age = torch.tensor([4.0, 2.0, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0]).expand(objects, -1)
    return [memory, age, memory_bias, pointer, pointer_age, pointer_bias]
