"""int8: integer products except in the ignored scope, with value ranges from typical inputs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from engines.backends import int8 as int8_module
from engines.backends.graph import Array, Calibration, Graph
from engines.backends.int8 import to_int8
from engines.backends.onnx_export import Exporter
from engines.backends.onnx_runtime import OnnxRuntimeBackend
from streaming.errors import BackendUnavailable
from tests.toy_graph import toy_graph, toy_inputs

MOVES = ("Transpose", "Reshape", "Unsqueeze")
TYPICAL = [toy_inputs(4, seed) for seed in range(50)]
QUERY, KEY = "/module/query/Gemm", "/module/key/MatMul"


def int8(ignored_scope: tuple[str, ...] = ()) -> bytes:
    return to_int8(Exporter().export(toy_graph(), "float32").content, TYPICAL, ignored_scope)


@dataclass(frozen=True)
class Made:
    """An int8 copy that an exporter made, by quantising once."""

    folder: Path
    content: bytes
    calls: list[str]
    "Of the function that makes typical inputs."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder, calls = tmp_path_factory.mktemp("made"), list[str]()
    return Made(folder, Exporter(folder).export(calibrated(calls), "int8").content, calls)


@pytest.fixture(scope="module")
def copy(made: Made) -> bytes:
    return made.content


def run(content: bytes, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    return OnnxRuntimeBackend()._load("toy", content).runner()(*inputs)


def products_of_integers(content: bytes) -> set[str]:
    """Return the names of the products whose factors are both scaled integers, moved at most."""
    scaled, found = set[str](), set[str]()
    for node in onnx.load_model_from_string(content).graph.node:
        if node.op_type == "DequantizeLinear" or (node.op_type in MOVES and node.input[0] in scaled):
            scaled.update(node.output)
        elif node.op_type in ("MatMul", "Gemm") and scaled.issuperset(node.input[:2]):
            found.add(node.name)
    return found


def test_products_are_of_integers_except_with_the_output_of_softmax(copy: bytes) -> None:
    assert products_of_integers(copy) == {QUERY, KEY, "/module/MatMul"}


def test_nodes_in_the_ignored_scope_stay_in_floating_point_and_nothing_is_printed_to_stdout(
    capfd: pytest.CaptureFixture[str],
) -> None:
    found = products_of_integers(int8((r".*/query/", r".*/nothing/")))
    assert QUERY not in found and KEY in found
    assert capfd.readouterr().out == ""


def test_outputs_are_close_to_float32(copy: bytes) -> None:
    float32 = Exporter().export(toy_graph(), "float32").content
    for inputs in (toy_inputs(1, 3), toy_inputs(4, 5)):
        for ours, theirs in zip(run(copy, inputs), run(float32, inputs), strict=True):
            assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
            assert 0 < np.abs(ours - theirs).max() < 0.05 * np.abs(theirs).max()


def test_without_nncf_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_module, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'saccade\[int8\]'"):
        int8()


def test_a_failure_of_nncf_is_reported() -> None:
    with pytest.raises(BackendUnavailable, match=r"NNCF fails: .*Choose another precision"):
        to_int8(b"no model", TYPICAL, ())


def test_without_room_for_temporary_files_the_error_names_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))
    with pytest.raises(BackendUnavailable, match=r"int8 cannot be made: .*TMPDIR"):
        to_int8(b"no model", TYPICAL, ())


def calibrated(calls: list[str]) -> Graph:
    def typical() -> list[tuple[Array, ...]]:
        calls.append("typical")
        return TYPICAL

    return replace(toy_graph(), calibration=Calibration(typical, ()))


def test_it_is_made_once_and_then_read_without_nncf(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_module, "find_spec", lambda name: None)
    assert Exporter(made.folder).export(calibrated(made.calls), "int8").content == made.content
    assert made.calls == ["typical"]


def test_a_graph_without_calibration_stays_float32(tmp_path: Path) -> None:
    exporter = Exporter(tmp_path)
    exported = exporter.export(toy_graph(), "int8")
    assert exported.content == exporter.export(toy_graph(), "float32").content
    found = exporter.reopen("toy", "toy-1", "int8")
    assert found is not None and found.content == exported.content
