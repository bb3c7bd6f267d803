"""Errors of the CUDA calls without a GPU. Tests that need a GPU are in tests/gpu."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engines.backends.gpu import PinnedBuffer, find_gpu
from streaming.errors import BackendUnavailable


def test_without_the_binding_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda", None)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'saccade\[tensorrt\]'"):
        find_gpu()


@pytest.mark.skipif(bool(list(Path("/dev").glob("nvidia[0-9]*"))), reason="no GPU is missing here")
def test_without_a_driver_the_error_has_cudas_message() -> None:
    with pytest.raises(BackendUnavailable, match=r"CUDA error: .*driver") as refused:
        find_gpu()
    assert "NVIDIA driver" in refused.value.remedy
    with pytest.raises(BackendUnavailable, match="CUDA error"):
        PinnedBuffer(16)
