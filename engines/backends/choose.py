"""Which backend runs here."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from engines.backends.graph import Backend
from streaming.errors import BackendUnavailable

NAMES = ("auto", "openvino", "torch")


def choose_backend(name: str, *, threads: int = 1, cache_dir: Path | None = None) -> Backend:
    """The backend of that name; `auto` takes OpenVINO where it is installed, else torch.

    `threads` per call; OpenVINO runs as many calls side by side as the CPU has room for.
    Raises BackendUnavailable for a name that is unknown or not installed.
    """
    if name not in NAMES:
        raise BackendUnavailable(f"No backend {name}.", remedy=f"Choose one of {', '.join(NAMES)}.")
    installed = importlib.util.find_spec("openvino") is not None
    # Each imported only where it is chosen: OpenVINO takes a quarter of a second, torch a whole one.
    if name == "torch" or (name == "auto" and not installed):
        from engines.backends.torch_backend import TorchBackend

        return TorchBackend(threads)
    if not installed:
        raise BackendUnavailable("OpenVINO is not installed.", remedy="Set backend to torch, or install it.")
    from engines.backends.openvino import OpenVinoBackend

    parallel = max(1, (os.cpu_count() or 1) // threads)
    return OpenVinoBackend(threads=threads, parallel=parallel, cache_dir=cache_dir)
