"""CUDA's runtime, or what is missing for it. What takes a GPU is in tests/gpu."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engines.backends.gpu import Buffer, find_gpu
from streaming.errors import BackendUnavailable


def test_without_the_binding_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda", None)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'saccade\[tensorrt\]'"):
        find_gpu()


@pytest.mark.skipif(bool(list(Path("/dev").glob("nvidia[0-9]*"))), reason="no GPU is missing here")
def test_without_a_driver_it_says_what_is_missing_in_cudas_words() -> None:
    with pytest.raises(BackendUnavailable, match=r"CUDA says: .*driver") as refused:
        find_gpu()
    assert "NVIDIA driver" in refused.value.remedy
    with pytest.raises(BackendUnavailable, match="CUDA says"):
        Buffer(16)
