"""Exported graphs are cached by fingerprint and precision."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from engines.backends import tracing
from engines.backends.onnx_export import Exporter, Precision, tensor_names
from tests.toy_graph import toy_graph

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_second_export_reads_the_cache(
    precision: Precision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Exporter(tmp_path).export(toy_graph(), precision)
    monkeypatch.setattr(tracing, "trace", None)
    again = Exporter(tmp_path).export(toy_graph(), precision)
    assert (again.path, again.content) == (made.path, made.content)
    assert Exporter(tmp_path).reopen("toy", "toy-1", precision) is not None


def test_each_fingerprint_and_precision_has_its_own_file(tmp_path: Path) -> None:
    exporter = Exporter(tmp_path)
    paths = {
        exporter.export(toy_graph(fingerprint), precision).path
        for fingerprint in ("toy-1", "toy-2")
        for precision in PRECISIONS
    }
    assert len(paths) == 4
    assert exporter.reopen("toy", "toy-3", "float32") is None


def test_a_damaged_file_is_logged_and_exported_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = Exporter(tmp_path).export(toy_graph(), "float32")
    assert made.path is not None
    made.path.write_bytes(made.content[: len(made.content) // 2])
    with caplog.at_level(logging.WARNING):
        again = Exporter(tmp_path).export(toy_graph(), "float32")
    assert "made again" in caplog.text
    onnx.checker.check_model(onnx.load_model_from_string(again.content))
    assert Exporter(tmp_path).reopen("toy", "toy-1", "float32") is not None


def test_without_a_cache_folder_the_graph_is_exported() -> None:
    exported = Exporter().export(toy_graph(), "float32")
    rows, bias = np.ones((3, 8), np.float32), np.zeros((3, 16), np.float32)
    inputs = {"pixels": np.zeros((1, 4, 4, 3), np.uint8), "rows": rows, "bias": bias}
    read, peak = ReferenceEvaluator(onnx.load_model_from_string(exported.content)).run(None, inputs)
    assert (read.shape, peak.shape) == ((3, 3), (3,))
    assert Exporter().reopen("toy", "toy-1", "float32") is None


def test_tensor_names_are_in_the_graphs_order() -> None:
    for precision in PRECISIONS:
        exported = Exporter().export(toy_graph(), precision)
        assert tensor_names(exported) == ("pixels", "rows", "bias", "read", "peak")


def test_reading_the_cache_imports_no_torch(tmp_path: Path) -> None:
    Exporter(tmp_path).export(toy_graph(), "float32")
    code = (
        "import sys; from pathlib import Path; from engines.backends.onnx_export import Exporter;"
        f"assert Exporter(Path({str(tmp_path)!r})).reopen('toy', 'toy-1', 'float32');"
        "print(sorted({'torch', 'onnx', 'onnxruntime'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
