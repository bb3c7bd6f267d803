"""ONNX Runtime equals torch and runs on the chosen provider."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from engines.backends.onnx_runtime import OnnxRuntimeBackend
from engines.backends.torch_backend import TorchBackend
from streaming.errors import BackendUnavailable
from tests.nano_cases import largest_errors, nano_cases
from tests.toy_graph import toy_graph, toy_inputs


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_every_batch_size_equals_torch(rows: int) -> None:
    expected = TorchBackend().compile(toy_graph()).runner()(*toy_inputs(rows))
    for ours, theirs in zip(
        OnnxRuntimeBackend().compile(toy_graph()).runner()(*toy_inputs(rows)), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_every_graph_of_nano_equals_torch(exports: Path) -> None:
    backend = OnnxRuntimeBackend(cache_dir=exports)
    for case in nano_cases():
        errors = largest_errors(case, backend.compile(case.graph).runner()(*case.inputs))
        assert max(errors.values()) < 1e-4, f"{case.graph.name}: {errors}"


def test_threads_share_one_program() -> None:
    program = OnnxRuntimeBackend().compile(toy_graph())

    def run(seed: int) -> bool:
        runner, inputs = program.runner(), toy_inputs(3, seed)
        expected = runner(*inputs)
        return all(
            np.array_equal(a, b) for _ in range(50) for a, b in zip(runner(*inputs), expected, strict=True)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(8)))


def test_only_compiled_graphs_are_reopened(tmp_path: Path) -> None:
    backend = OnnxRuntimeBackend(cache_dir=tmp_path)
    first = backend.compile(toy_graph()).runner()(*toy_inputs(2))
    cached = backend.reopen("toy", "toy-1")
    assert cached is not None
    for one, other in zip(first, cached.runner()(*toy_inputs(2)), strict=True):
        assert np.array_equal(one, other)
    assert backend.reopen("toy", "toy-2") is None
    assert OnnxRuntimeBackend().reopen("toy", "toy-1") is None


def test_reopening_imports_no_torch(tmp_path: Path) -> None:
    OnnxRuntimeBackend(cache_dir=tmp_path).compile(toy_graph())
    code = (
        "import sys; from pathlib import Path; from engines.backends.onnx_runtime import OnnxRuntimeBackend;"
        f"assert OnnxRuntimeBackend(cache_dir=Path({str(tmp_path)!r})).reopen('toy', 'toy-1');"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_missing_provider_is_an_error_that_lists_the_available_ones() -> None:
    with pytest.raises(BackendUnavailable, match=r"no CUDAExecutionProvider, only .*CPUExecutionProvider"):
        OnnxRuntimeBackend(provider="CUDAExecutionProvider").compile(toy_graph())


def test_a_silent_fallback_to_another_provider_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the CUDA build finds no driver: the provider is listed, the session has the CPU's only."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with (
        pytest.warns(UserWarning, match="not in available provider names"),
        pytest.raises(BackendUnavailable, match="fell back from CUDAExecutionProvider"),
    ):
        OnnxRuntimeBackend(provider="CUDAExecutionProvider").compile(toy_graph())


def test_an_unreadable_file_raises_backend_unavailable() -> None:
    with pytest.raises(BackendUnavailable, match="cannot run toy"):
        OnnxRuntimeBackend()._load("toy", b"this is no ONNX")
