"""What a baseline can run, and tensors' sizes. test_tracker compares their masks with Saccade's."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from engines.tracking.checkpoints import load_tracker_weights
from lab.benchmarks.baselines import require_baseline, tensor_bytes
from lab.fixtures.random_sam2 import random_tracker
from streaming.errors import BackendUnavailable, InvalidSettings

WITH_SAM2 = importlib.util.find_spec("sam2") is not None


@pytest.mark.skipif(not WITH_SAM2, reason="the package sam2 is not installed: `make test` does that")
def test_the_package_sam2_runs_only_sam_2_0_and_2_1() -> None:
    for weights in (load_tracker_weights("nano"), random_tracker("edgetam", 512)):
        require_baseline("transformers", weights)
        with pytest.raises(InvalidSettings, match=r"SAM 2.0 and 2.1 only"):
            require_baseline("sam2", weights)


def test_a_missing_package_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BackendUnavailable, match="make test"):
        require_baseline("sam2", load_tracker_weights("nano"))


def test_an_unknown_baseline_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="transformers, sam2"):
        require_baseline("cutie", load_tracker_weights("nano"))


def test_a_shared_storage_is_counted_once() -> None:
    large, small = torch.zeros(100), torch.zeros(10, dtype=torch.uint8)
    assert tensor_bytes({"a": large, 3: [large[:5], (small, None, "x")]}) == 410
    assert tensor_bytes(()) == 0
