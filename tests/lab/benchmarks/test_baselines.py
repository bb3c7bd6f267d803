"""Whom we are compared with. That they see what we see: `test_bench.py`."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from engines.tracking.checkpoints import load_tracker_weights
from lab.benchmarks.baselines import require_peer, tensor_bytes
from lab.fixtures.random_sam2 import random_tracker
from streaming.errors import BackendUnavailable, InvalidSettings

WITH_SAM2 = importlib.util.find_spec("sam2") is not None


@pytest.mark.skipif(not WITH_SAM2, reason="the package sam2 is not installed: `make test` does that")
def test_the_official_package_is_not_asked_for_what_it_does_not_know() -> None:
    for weights in (load_tracker_weights("nano"), random_tracker("edgetam", 512)):
        require_peer("transformers", weights)
        with pytest.raises(InvalidSettings, match=r"SAM 2.0 and 2.1 alone"):
            require_peer("sam2", weights)


def test_a_peer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BackendUnavailable, match="make test"):
        require_peer("sam2", load_tracker_weights("nano"))


def test_a_peer_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="transformers, sam2"):
        require_peer("cutie", load_tracker_weights("nano"))


def test_shared_memory_is_counted_once() -> None:
    one, other = torch.zeros(100), torch.zeros(10, dtype=torch.uint8)
    assert tensor_bytes({"a": one, 3: [one[:5], (other, None, "x")]}) == 410
    assert tensor_bytes(()) == 0
