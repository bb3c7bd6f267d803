"""TensorRT on a GPU: nano's graphs equal torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.backends.onnx_export import Precision
from engines.backends.tensorrt import TensorRtBackend, usable_gpu
from streaming.errors import BackendUnavailable
from tests.nano_cases import nano_cases
from tests.toy_graph import toy_graph, toy_inputs

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def gpu() -> None:
    try:
        usable_gpu()
    except BackendUnavailable as exc:
        pytest.skip(f"no GPU that TensorRT runs on: {exc}")


@pytest.mark.parametrize(("precision", "bound"), [("float32", 5e-3), ("bfloat16", 0.05)])
def test_every_graph_of_nano_equals_torch(precision: Precision, bound: float, tmp_path: Path) -> None:
    """float32 is TF32 on tensor cores: ten bits of mantissa. Root mean squares, as in test_bfloat16.py."""
    backend = TensorRtBackend(precision, cache_dir=tmp_path)
    for case in nano_cases():
        differences = case.differences(backend.compile(case.graph).runner()(*case.inputs))
        assert max(differences.values()) < bound, f"{case.graph.name}: {differences}"


def test_recorded_calls_equal_the_first_call_at_every_batch_size(tmp_path: Path) -> None:
    run = TensorRtBackend("float32", capacity=4, cache_dir=tmp_path).compile(toy_graph()).runner()
    for rows in (1, 3, 4, 3, 1):
        first = [array.copy() for array in run(*toy_inputs(rows))]
        again = run(*toy_inputs(rows))
        assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_a_cached_engine_is_reopened(tmp_path: Path) -> None:
    backend = TensorRtBackend(cache_dir=tmp_path)
    first = [array.copy() for array in backend.compile(toy_graph()).runner()(*toy_inputs(2))]
    cached = backend.reopen("toy", "toy-1")
    assert cached is not None
    for one, other in zip(first, cached.runner()(*toy_inputs(2)), strict=True):
        assert np.array_equal(one, other)


def test_a_file_that_is_no_engine_is_logged_and_built_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = TensorRtBackend(cache_dir=tmp_path)
    cached = backend.build(toy_graph()).path
    assert cached is not None
    cached.unlink()
    key = cached.name.rsplit("-", 1)[0]
    backend._engines.write(key, b"an engine of another time")
    backend.compile(toy_graph()).runner()(*toy_inputs(1))
    assert "built again" in caplog.text
