"""FLOPs of a frame, and the device's peak."""

from __future__ import annotations

import pytest
import torch

from lab.benchmarks.roofline import frame_flops, peak_flops
from lab.fixtures.random_sam2 import random_tracker


def test_flops_of_tiny_at_512_agree_with_an_independent_count() -> None:
    """62.5 GFLOP per image; 48.3 + 2.9 + 0.95 per object with one memory fewer (PyTorch's counter on
    transformers' modules)."""
    weights = random_tracker("sam2.1-tiny", 512)
    one, two = frame_flops(weights, 1), frame_flops(weights, 2)
    assert one == pytest.approx(115e9, rel=0.15)
    assert two - one == pytest.approx(52e9, rel=0.25)


def test_the_peak_is_a_plausible_number() -> None:
    assert peak_flops(torch.device("cpu"), torch.float32) > 1e9
