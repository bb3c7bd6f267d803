"""ONNX Runtime: the reference among the runtimes, since it runs the exported float32 file unchanged.

OpenVINO is faster on CPUs, and ONNX Runtime's CPU provider has no bfloat16 products.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as _state

from engines.backends.graph import Array, Graph, Precision
from engines.backends.onnx_export import Exporter
from streaming.errors import BackendUnavailable

_ERRORS: Final = (
    _state.EPFail,
    _state.Fail,
    _state.InvalidArgument,
    _state.InvalidGraph,
    _state.InvalidProtobuf,
    _state.NotImplemented,
    _state.RuntimeException,
)
"ONNX Runtime's exceptions; they share no base class."


@dataclass(frozen=True, slots=True)
class OnnxRuntimeBackend:
    """Runs exported graphs."""

    threads: int = 1
    "CPU threads of one call."
    provider: str = "CPUExecutionProvider"
    "Execution provider; it must support the whole graph."
    cache_dir: Path | None = None
    "For exported graphs; None exports every time."

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return "onnxruntime"

    @property
    def compute_precision(self) -> Precision:
        """Always float32."""
        return "float32"

    @property
    def caches_programs(self) -> bool:
        """Whether there is a `cache_dir`."""
        return self.cache_dir is not None

    def compile(self, graph: Graph) -> OnnxRuntimeProgram:
        """Load a graph, exported or from the cache. Raises BackendUnavailable where it cannot run."""
        return self._load(graph.name, Exporter(self.cache_dir).export(graph, "float32").content)

    def reopen(self, name: str, fingerprint: str) -> OnnxRuntimeProgram | None:
        """See `Backend`."""
        cached = Exporter(self.cache_dir).reopen(name, fingerprint, "float32")
        return self._load(name, cached.content) if cached is not None else None

    def _load(self, name: str, content: bytes) -> OnnxRuntimeProgram:
        if self.provider not in ort.get_available_providers():
            raise BackendUnavailable(
                f"This ONNX Runtime has no {self.provider}, only {', '.join(ort.get_available_providers())}.",
                remedy="Install the onnxruntime package that has it.",
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        try:
            session = ort.InferenceSession(content, options, providers=[self.provider])
        except _ERRORS as exc:
            raise BackendUnavailable(
                f"ONNX Runtime cannot run {name}: {exc}", remedy="Set backend to torch."
            ) from exc
        # If a provider cannot start (a driver is missing), ONNX Runtime falls back to the CPU with a log
        # line.
        if session.get_providers()[0] != self.provider:
            raise BackendUnavailable(
                f"ONNX Runtime fell back from {self.provider} to {session.get_providers()[0]}.",
                remedy="Its log names what is missing.",
            )
        return OnnxRuntimeProgram(session, tuple(port.name for port in session.get_inputs()))


@dataclass(frozen=True, slots=True, eq=False)
class OnnxRuntimeProgram:
    """A session; also its own runner: sessions are thread-safe and calls share no state."""

    session: ort.InferenceSession
    inputs: tuple[str, ...]

    def runner(self) -> OnnxRuntimeProgram:
        """Return itself."""
        return self

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """See `Runner`."""
        return tuple(self.session.run(None, dict(zip(self.inputs, inputs, strict=True))))
