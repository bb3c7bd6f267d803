"""Choose a backend by its name in the settings and by what this machine has."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Final

from engines.backends.graph import Backend, PrecisionChoice
from streaming.errors import BackendUnavailable

NAMES: Final = ("auto", "tensorrt", "openvino", "onnxruntime", "torch")


def resolve_backend(name: str) -> str:
    """Resolve `auto`: TensorRT if it and a GPU are present, else OpenVINO, else torch.

    Raises BackendUnavailable for a name that is unknown, not installed, or cannot run on this machine.
    """
    if name not in NAMES:
        raise BackendUnavailable(f"No backend {name}.", remedy=f"Choose one of {', '.join(NAMES)}.")
    if name == "auto":
        return next(candidate for candidate in ("tensorrt", "openvino", "torch") if _is_usable(candidate))
    _require(name)
    return name


def choose_backend(
    name: str,
    *,
    threads: int = 1,
    capacity: int = 16,
    precision: PrecisionChoice = "auto",
    cache_dir: Path | None = None,
) -> Backend:
    """Create the backend that `resolve_backend` names; raises as it does.

    threads: CPU threads of one call; OpenVINO runs as many calls in parallel as the CPUs allow. capacity:
    most objects of one call, for which TensorRT builds its engines. precision: see `graph.Precision`; raises
    BackendUnavailable where the backend lacks it. cache_dir: for compiled files; None stores nothing.
    """
    chosen = resolve_backend(name)
    # Imported when chosen: OpenVINO takes 0.25 s to import, torch 1 s.
    if chosen == "tensorrt":
        if precision == "int8":
            raise BackendUnavailable(
                "int8 runs on CPUs only; tensorrt has bfloat16.",
                remedy="Choose openvino, or another precision.",
            )
        from engines.backends.tensorrt import TensorRtBackend, fastest_precision

        return TensorRtBackend(fastest_precision() if precision == "auto" else precision, capacity, cache_dir)
    if chosen == "openvino":
        from engines.backends.openvino import OpenVinoBackend

        parallel = max(1, (os.cpu_count() or 1) // threads)
        return OpenVinoBackend(threads, parallel, precision, cache_dir)
    if precision not in ("auto", "float32"):
        raise BackendUnavailable(f"{chosen} computes in float32 only.", remedy="Choose openvino, or float32.")
    if chosen == "onnxruntime":
        from engines.backends.onnx_runtime import OnnxRuntimeBackend

        return OnnxRuntimeBackend(threads=threads, cache_dir=cache_dir)
    from engines.backends.torch_backend import TorchBackend

    return TorchBackend(threads)


def _is_usable(name: str) -> bool:
    try:
        _require(name)
    except BackendUnavailable:
        return False
    return True


def _require(name: str) -> None:
    if name == "tensorrt":
        from engines.backends.tensorrt import usable_gpu

        usable_gpu()
    elif importlib.util.find_spec(name) is None:
        raise BackendUnavailable(
            f"{name} is not installed.", remedy=f"Run pip install {name}, or set backend to torch."
        )
