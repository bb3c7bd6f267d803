"""ONNX Runtime gives what torch gives, and runs where it was told to."""

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
def test_any_number_of_rows_comes_out_as_in_torch(rows: int) -> None:
    expected = TorchBackend().compile(toy_graph()).runner()(*toy_inputs(rows))
    for ours, theirs in zip(
        OnnxRuntimeBackend().compile(toy_graph()).runner()(*toy_inputs(rows)), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_every_graph_of_nano_gives_what_torch_gives(exports: Path) -> None:
    backend = OnnxRuntimeBackend(cache_dir=exports)
    for case in nano_cases():
        errors = largest_errors(case, backend.compile(case.graph).runner()(*case.inputs))
        assert max(errors.values()) < 1e-4, f"{case.graph.name}: {errors}"


def test_threads_may_run_one_program_at_the_same_time() -> None:
    program = OnnxRuntimeBackend().compile(toy_graph())

    def run(seed: int) -> bool:
        runner, inputs = program.runner(), toy_inputs(3, seed)
        expected = runner(*inputs)
        return all(
            np.array_equal(a, b) for _ in range(50) for a, b in zip(runner(*inputs), expected, strict=True)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(8)))


def test_it_reopens_what_it_compiled_and_nothing_else(tmp_path: Path) -> None:
    backend = OnnxRuntimeBackend(cache_dir=tmp_path)
    first = backend.compile(toy_graph()).runner()(*toy_inputs(2))
    kept = backend.reopen("toy", "toy-1")
    assert kept is not None
    for one, other in zip(first, kept.runner()(*toy_inputs(2)), strict=True):
        assert np.array_equal(one, other)
    assert backend.reopen("toy", "toy-2") is None
    assert OnnxRuntimeBackend().reopen("toy", "toy-1") is None


def test_reopening_takes_no_torch(tmp_path: Path) -> None:
    OnnxRuntimeBackend(cache_dir=tmp_path).compile(toy_graph())
    code = (
        "import sys; from pathlib import Path; from engines.backends.onnx_runtime import OnnxRuntimeBackend;"
        f"assert OnnxRuntimeBackend(cache_dir=Path({str(tmp_path)!r})).reopen('toy', 'toy-1');"
        "print('torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def test_a_provider_that_this_build_lacks_is_said_with_what_there_is() -> None:
    with pytest.raises(BackendUnavailable, match=r"no CUDAExecutionProvider, only .*CPUExecutionProvider"):
        OnnxRuntimeBackend(provider="CUDAExecutionProvider").compile(toy_graph())


def test_falling_back_in_silence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the CUDA build finds no driver: the provider is there, and the session has only the CPU's."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with (
        pytest.warns(UserWarning, match="not in available provider names"),
        pytest.raises(BackendUnavailable, match="fell back from CUDAExecutionProvider"),
    ):
        OnnxRuntimeBackend(provider="CUDAExecutionProvider").compile(toy_graph())


def test_a_file_that_it_cannot_read_is_one_of_our_errors() -> None:
    with pytest.raises(BackendUnavailable, match="cannot run toy"):
        OnnxRuntimeBackend()._load("toy", b"this is no ONNX")
