"""Choosing a backend by its name in the settings."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from engines.backends import tensorrt
from engines.backends.choose import NAMES, choose_backend, resolve_backend
from engines.backends.gpu import Gpu
from engines.backends.graph import Precision
from engines.backends.openvino import OpenVinoBackend
from streaming.errors import BackendUnavailable
from streaming.settings import BackendName

ON_A_CPU = [name for name in NAMES if name != "tensorrt"]


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Gpu:
        raise BackendUnavailable("There is no CUDA device.", remedy="Install an NVIDIA driver.")

    monkeypatch.setattr(tensorrt, "usable_gpu", refuse)


def test_settings_allow_the_same_names() -> None:
    assert set(NAMES) == set(get_args(BackendName))


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ON_A_CPU)
def test_every_name_creates_the_backend_of_that_name(name: str, tmp_path: Path) -> None:
    backend = choose_backend(name, threads=1, cache_dir=tmp_path)
    assert backend.name == ("openvino" if name == "auto" else name)


@pytest.mark.usefixtures("no_gpu")
def test_tensorrt_without_a_gpu_is_an_error_that_names_what_is_missing() -> None:
    with pytest.raises(BackendUnavailable, match=r"no CUDA device.* Install an NVIDIA driver"):
        choose_backend("tensorrt")


@pytest.mark.parametrize(("capability", "precision"), [((8, 6), "bfloat16"), ((7, 5), "float32")])
def test_auto_chooses_tensorrt_on_a_gpu_in_its_fastest_precision(
    capability: tuple[int, int], precision: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tensorrt, "usable_gpu", lambda: Gpu("a GPU", capability, 13000))
    chosen = choose_backend("auto", capacity=4, cache_dir=tmp_path)
    assert isinstance(chosen, tensorrt.TensorRtBackend)
    assert (chosen.precision, chosen.capacity, chosen.cache_dir) == (precision, 4, tmp_path)


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_precision_that_a_backend_lacks_is_refused(name: str, precision: Precision) -> None:
    with pytest.raises(BackendUnavailable, match=f"{name} computes in float32 only"):
        choose_backend(name, precision=precision)
    assert choose_backend(name, precision="float32").name == name


def test_int8_on_tensorrt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt, "usable_gpu", lambda: Gpu("a GPU", (9, 0), 13000))
    with pytest.raises(BackendUnavailable, match=r"int8 runs on CPUs only.* Choose openvino"):
        choose_backend("tensorrt", precision="int8")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_the_precision_is_passed_to_the_backend(precision: Precision) -> None:
    chosen = choose_backend("openvino", precision=precision)
    assert isinstance(chosen, OpenVinoBackend)
    assert chosen.precision == precision


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_missing_runtime_is_an_error_that_names_the_package(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda one: None if one == name else present(one))
    with pytest.raises(BackendUnavailable, match=f"{name} is not installed. Run pip install {name}"):
        choose_backend(name)
    assert resolve_backend("auto") == ("torch" if name == "openvino" else "openvino")


def test_an_unknown_name_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(BackendUnavailable, match=r"No backend abacus\. Choose one of auto, tensorrt"):
        choose_backend("abacus")


def test_resolving_a_name_imports_no_runtime() -> None:
    code = (
        "import sys; from engines.backends.choose import resolve_backend; resolve_backend('auto');"
        "print(sorted({'torch', 'openvino', 'onnxruntime', 'onnx'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
