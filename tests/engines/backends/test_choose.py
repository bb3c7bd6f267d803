"""A name from the settings becomes a backend."""

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


def test_the_settings_know_the_same_names() -> None:
    assert set(NAMES) == set(get_args(BackendName))


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ON_A_CPU)
def test_every_name_gives_a_backend_of_that_name(name: str, tmp_path: Path) -> None:
    backend = choose_backend(name, threads=1, cache_dir=tmp_path)
    assert backend.name == ("openvino" if name == "auto" else name)


@pytest.mark.usefixtures("no_gpu")
def test_tensorrt_without_a_gpu_says_what_is_missing() -> None:
    with pytest.raises(BackendUnavailable, match=r"no CUDA device.* Install an NVIDIA driver"):
        choose_backend("tensorrt")


@pytest.mark.parametrize(("capability", "precision"), [((8, 6), "bfloat16"), ((7, 5), "float32")])
def test_where_tensorrt_and_a_gpu_are_auto_takes_them_in_the_precision_it_multiplies_in(
    capability: tuple[int, int], precision: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tensorrt, "usable_gpu", lambda: Gpu("a GPU", capability, 13000))
    chosen = choose_backend("auto", capacity=4, cache_dir=tmp_path)
    assert isinstance(chosen, tensorrt.TensorRtBackend)
    assert (chosen.precision, chosen.capacity, chosen.cache_dir) == (precision, 4, tmp_path)


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_precision_that_a_backend_has_not_is_refused(name: str, precision: Precision) -> None:
    with pytest.raises(BackendUnavailable, match=f"{name} multiplies in float32 only"):
        choose_backend(name, precision=precision)
    assert choose_backend(name, precision="float32").name == name


def test_int8_is_not_for_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt, "usable_gpu", lambda: Gpu("a GPU", (9, 0), 13000))
    with pytest.raises(BackendUnavailable, match=r"int8 is for CPUs.* Choose openvino"):
        choose_backend("tensorrt", precision="int8")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_a_precision_is_handed_on(precision: Precision) -> None:
    chosen = choose_backend("openvino", precision=precision)
    assert isinstance(chosen, OpenVinoBackend)
    assert chosen.precision == precision


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_what_is_not_installed_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    present = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda one: None if one == name else present(one))
    with pytest.raises(BackendUnavailable, match=f"{name} is not installed. Say pip install {name}"):
        choose_backend(name)
    assert resolve_backend("auto") == ("torch" if name == "openvino" else "openvino")


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(BackendUnavailable, match=r"No backend abacus\. Choose one of auto, tensorrt"):
        choose_backend("abacus")


def test_resolving_a_name_loads_no_runtime() -> None:
    code = (
        "import sys; from engines.backends.choose import resolve_backend; resolve_backend('auto');"
        "print(sorted({'torch', 'openvino', 'onnxruntime', 'onnx'} & sys.modules.keys()))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
