"""A graph is exported once, and found again."""

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
from engines.backends.onnx_export import Exporter, Precision, names_of
from tests.toy_graph import toy_graph

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_second_time_nothing_is_traced(
    precision: Precision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Exporter(tmp_path).export(toy_graph(), precision)
    monkeypatch.setattr(tracing, "trace", None)
    again = Exporter(tmp_path).export(toy_graph(), precision)
    assert (again.path, again.content) == (made.path, made.content)
    assert Exporter(tmp_path).reopen("toy", "toy-1", precision) is not None


def test_other_weights_and_other_precisions_are_other_files(tmp_path: Path) -> None:
    exporter = Exporter(tmp_path)
    paths = {
        exporter.export(toy_graph(fingerprint), precision).path
        for fingerprint in ("toy-1", "toy-2")
        for precision in PRECISIONS
    }
    assert len(paths) == 4
    assert exporter.reopen("toy", "toy-3", "float32") is None


def test_a_file_that_is_not_whole_is_made_anew_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = Exporter(tmp_path).export(toy_graph(), "float32")
    assert made.path is not None
    made.path.write_bytes(made.content[: len(made.content) // 2])
    with caplog.at_level(logging.WARNING):
        again = Exporter(tmp_path).export(toy_graph(), "float32")
    assert "made anew" in caplog.text
    onnx.checker.check_model(onnx.load_model_from_string(again.content))
    assert Exporter(tmp_path).reopen("toy", "toy-1", "float32") is not None


def test_where_nothing_is_kept_it_is_exported_all_the_same() -> None:
    kept = Exporter().export(toy_graph(), "float32")
    rows, bias = np.ones((3, 8), np.float32), np.zeros((3, 16), np.float32)
    inputs = {"pixels": np.zeros((1, 4, 4, 3), np.uint8), "rows": rows, "bias": bias}
    read, peak = ReferenceEvaluator(onnx.load_model_from_string(kept.content)).run(None, inputs)
    assert (read.shape, peak.shape) == ((3, 3), (3,))
    assert Exporter().reopen("toy", "toy-1", "float32") is None


def test_a_file_names_its_inputs_and_outputs_in_the_graphs_order() -> None:
    for precision in PRECISIONS:
        exported = Exporter().export(toy_graph(), precision)
        assert names_of(exported) == ("pixels", "rows", "bias", "read", "peak")


def test_finding_it_again_takes_no_torch(tmp_path: Path) -> None:
    Exporter(tmp_path).export(toy_graph(), "float32")
    code = (
        "import sys; from pathlib import Path; from engines.backends.onnx_export import Exporter;"
        f"assert Exporter(Path({str(tmp_path)!r})).reopen('toy', 'toy-1', 'float32');"
        "print(sorted({'torch', 'onnx', 'onnxruntime'} & sys.modules.keys()))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
