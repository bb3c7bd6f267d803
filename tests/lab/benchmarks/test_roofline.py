"""What a frame asks for, and what the device can do."""

from __future__ import annotations

import pytest
import torch

from lab.benchmarks.roofline import frame_flops, peak_flops
from lab.fixtures.random_sam2 import random_tracker


def test_a_frame_of_tiny_at_512_asks_for_what_others_have_counted() -> None:
    """62.5 GFLOP for the picture; 48.3 + 2.9 + 0.95 for an object, with one slot fewer (PyTorch's counter on
    transformers' modules)."""
    weights = random_tracker("sam2.1-tiny", 512)
    one, two = frame_flops(weights, 1), frame_flops(weights, 2)
    assert one == pytest.approx(115e9, rel=0.15)
    assert two - one == pytest.approx(52e9, rel=0.25)


def test_a_device_has_a_peak() -> None:
    assert peak_flops(torch.device("cpu"), torch.float32) > 1e9
