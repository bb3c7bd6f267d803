"""TensorRT builds every graph; without a GPU the error names what is missing."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from engines.backends.gpu import Gpu, find_gpu
from engines.backends.graph import Graph, Precision
from engines.backends.onnx_export import Exporter
from engines.backends.tensorrt import TensorRtBackend, build_engine, load_tensorrt, usable_gpu
from engines.tracking.compilation import tracker_graphs
from streaming.errors import BackendUnavailable
from tests.nano_cases import nano_cases
from tests.random_sam import random_sam
from tests.toy_graph import toy_graph

BOTH: tuple[Precision, ...] = ("float32", "bfloat16")


def build_all(
    graphs: tuple[Graph, ...], exports: Path, precisions: tuple[Precision, ...] = BOTH
) -> dict[str, int]:
    """Build every graph in each precision; return engine sizes in bytes."""
    return {
        f"{graph.name} {precision}": len(TensorRtBackend(precision, cache_dir=exports).build(graph).content)
        for graph in graphs
        for precision in precisions
    }


def report(model: str, sizes: dict[str, int]) -> None:
    for what, size in sizes.items():
        print(f"{model:>9} {what:<16} {size / 1e6:6.1f} MB")


@pytest.mark.timeout(600)
def test_every_graph_of_nano_is_built_in_both_precisions(exports: Path) -> None:
    sizes = build_all(tuple(case.graph for case in nano_cases()), exports)
    report("nano", sizes)
    assert min(sizes.values()) > 1e6


@pytest.mark.slow
@pytest.mark.timeout(600)  # half a minute on one quiet core; an interrupted build ends with its graph
def test_every_graph_of_sam_2_tiny_and_base_plus_is_built(exports: Path) -> None:
    """In bfloat16, which GPUs run; nano's graphs are built in float32, too."""
    tiny, base_plus = (tracker_graphs(random_sam(size, 128)) for size in ("tiny", "base_plus"))
    # The sizes of SAM 2.1 differ in the image encoder only: equal graphs are built once.
    own = tuple(theirs for ours, theirs in zip(tiny, base_plus, strict=True) if not is_alike(ours, theirs))
    assert [graph.name for graph in own] == ["encode"]
    sizes = {
        "tiny": build_all(tiny, exports, ("bfloat16",)),
        "base_plus": build_all(own, exports, ("bfloat16",)),
    }
    for graphs, (model, found) in zip((tiny, own), sizes.items(), strict=True):
        report(model, found)
        file = Exporter(exports).export(graphs[0], "float32")
        assert found["encode bfloat16"] < 0.7 * len(file.content)


def is_alike(a: Graph, b: Graph) -> bool:
    """Whether the graphs differ in weights only."""

    def structure(graph: Graph) -> object:
        tensors = {name: tensor.shape for name, tensor in graph.module.state_dict().items()}
        return repr(graph.module), tensors, graph.ports, graph.outputs

    return structure(a) == structure(b)


def test_an_engine_is_cached_by_precision_and_capacity(tmp_path: Path) -> None:
    first = TensorRtBackend("float32", 4, tmp_path).build(toy_graph())
    assert first.path is not None
    written = first.path.stat().st_mtime_ns
    assert TensorRtBackend("float32", 4, tmp_path).build(toy_graph()).path == first.path
    assert first.path.stat().st_mtime_ns == written
    TensorRtBackend("float32", 8, tmp_path).build(toy_graph())
    TensorRtBackend("bfloat16", 4, tmp_path).build(toy_graph())
    assert len(list(tmp_path.glob("toy-*.engine"))) == 3


def test_a_damaged_engine_is_logged_and_built_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    backend = TensorRtBackend(cache_dir=tmp_path)
    first = backend.build(toy_graph())
    assert first.path is not None
    first.path.write_bytes(first.content[:1000])
    with caplog.at_level(logging.WARNING):
        again = backend.build(toy_graph())
    assert "made again" in caplog.text
    assert len(again.content) > 1000


def test_a_newer_tensorrt_builds_its_own_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = TensorRtBackend(cache_dir=tmp_path)
    backend.build(toy_graph())
    monkeypatch.setattr(load_tensorrt(), "__version__", "99.0")
    backend.build(toy_graph())
    assert len(list(tmp_path.glob("toy-*.engine"))) == 2


def test_an_unreadable_file_raises_backend_unavailable() -> None:
    with pytest.raises(BackendUnavailable, match="TensorRT cannot"):
        build_engine(b"this is no ONNX", capacity=1)


def test_without_tensorrt_the_error_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx_bindings", None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'saccade\[tensorrt\]'"):
        TensorRtBackend().build(toy_graph())


def test_a_gpu_that_tensorrt_rtx_does_not_support_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    h100 = Gpu("NVIDIA H100", (9, 0), 13000)
    monkeypatch.setattr("engines.backends.tensorrt.find_gpu", lambda: h100)
    if load_tensorrt().__name__ != "tensorrt_rtx_bindings":
        pytest.skip("no GPU that classic TensorRT does not know")
    with pytest.raises(BackendUnavailable, match=r"does not support NVIDIA H100 \(sm_90\)"):
        usable_gpu()


def test_without_a_gpu_it_builds_but_does_not_run(tmp_path: Path) -> None:
    if has_gpu():
        pytest.skip("no GPU is missing here: see tests/gpu")
    backend = TensorRtBackend(cache_dir=tmp_path)
    backend.build(toy_graph())
    with pytest.raises(BackendUnavailable, match="CUDA") as refused:
        backend.compile(toy_graph())
    assert "driver" in refused.value.remedy
    with pytest.raises(BackendUnavailable, match="CUDA"):
        backend.reopen("toy", "toy-1")
    assert backend.reopen("toy", "toy-2") is None


def has_gpu() -> bool:
    try:
        find_gpu()
    except BackendUnavailable:
        return False
    return True
