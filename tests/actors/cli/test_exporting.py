"""Tests of `saccade export`: building graphs and comparing them with torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actors.cli.exporting import TrackerExport
from engines.backends.gpu import find_gpu
from engines.backends.graph import Array, Graph, Program
from engines.backends.onnx_runtime import OnnxRuntimeBackend, OnnxRuntimeProgram
from streaming.errors import BackendUnavailable, InvalidSettings
from streaming.settings import Settings


def export_to(backend: str, folder: Path) -> TrackerExport:
    return TrackerExport(Settings(backend=backend, cache_dir=folder))  # type: ignore[arg-type]


def test_every_graph_is_built_stored_and_compared(exports: Path) -> None:
    export = export_to("onnxruntime", exports)
    for graph in export.graphs:
        built = export.build(graph)
        assert built.graph == graph.name
        assert built.difference is not None and set(built.difference) == set(graph.outputs)
        assert max(built.difference.values()) < 1e-4
        assert built.files
        assert all((exports / name).stat().st_size == size for name, size in built.files.items())


@pytest.mark.timeout(400)  # NNCF takes a minute on a quiet machine
def test_int8_graphs_are_built_stored_and_compared(exports: Path) -> None:
    export = TrackerExport(Settings(tracker_precision="int8", backend="openvino", cache_dir=exports))
    for graph in export.graphs:
        built = export.build(graph)
        assert [name.startswith(f"{graph.name}-int8") for name in built.files] == [True]
        assert all((exports / name).is_file() for name in built.files)
        assert built.difference is not None


def test_a_size_that_the_model_does_not_take_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="multiple of 32"):
        TrackerExport(Settings(backend="torch", tracker_px=250))


def test_torch_builds_no_files(tmp_path: Path) -> None:
    export = export_to("torch", tmp_path)
    built = export.build(export.graphs[0])
    assert (built.files, set((built.difference or {}).values())) == ({}, {0.0})


def test_tensorrt_builds_without_a_gpu_and_says_why_nothing_was_compared(exports: Path) -> None:
    try:
        find_gpu()
    except BackendUnavailable:
        export = export_to("tensorrt", exports)
        built = export.build(export.graphs[0])
        assert {Path(name).suffix for name in built.files} == {".onnx", ".engine"}
        assert built.difference is None
        assert "CUDA" in built.not_run
    else:
        pytest.skip("no GPU is missing here: see tests/gpu")


@pytest.mark.parametrize("fault", [2.0, np.nan])
def test_outputs_that_differ_from_torch_raise(
    fault: float, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = OnnxRuntimeProgram.__call__

    def wrong(program: OnnxRuntimeProgram, *inputs: Array) -> tuple[Array, ...]:
        return tuple(output * np.float32(fault) for output in run(program, *inputs))

    monkeypatch.setattr(OnnxRuntimeProgram, "__call__", wrong)
    export = export_to("onnxruntime", exports)
    with pytest.raises(BackendUnavailable, match="computes features of encode wrong"):
        export.build(export.graphs[0])


def test_an_error_of_the_backend_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(backend: OnnxRuntimeBackend, graph: Graph) -> Program:
        raise BackendUnavailable(f"ONNX Runtime cannot run {graph.name}.")

    monkeypatch.setattr(OnnxRuntimeBackend, "compile", refuse)
    export = export_to("onnxruntime", tmp_path)
    with pytest.raises(BackendUnavailable, match="cannot run encode"):
        export.build(export.graphs[0])
