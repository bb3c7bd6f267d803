"""ONNX Runtime: the reference among the runtimes. It runs the exported float32 file with nothing of its
own added, so what it gives is what the file says.

It is not the fastest on a CPU (see OpenVINO), and its CPU provider has no bfloat16 products.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as _failures

from engines.backends.graph import Array, Graph, Precision
from engines.backends.onnx_export import Exporter
from streaming.errors import BackendUnavailable

_FAILURES: Final = (
    _failures.EPFail,
    _failures.Fail,
    _failures.InvalidArgument,
    _failures.InvalidGraph,
    _failures.InvalidProtobuf,
    _failures.NotImplemented,
    _failures.RuntimeException,
)
"They have no root of their own."


@dataclass(frozen=True, slots=True)
class OnnxRuntimeBackend:
    """Runs exported graphs."""

    threads: int = 1
    "CPU threads of one call."
    provider: str = "CPUExecutionProvider"
    "What ONNX Runtime computes with; it has to be the whole graph."
    cache_dir: Path | None = None
    "Where exported graphs are kept; None exports anew each time."

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return "onnxruntime"

    @property
    def computes_in(self) -> Precision:
        """Always the same."""
        return "float32"

    @property
    def keeps_programs(self) -> bool:
        """In `cache_dir`."""
        return self.cache_dir is not None

    def compile(self, graph: Graph) -> OnnxRuntimeProgram:
        """Export (or read) a graph. Raises BackendUnavailable where ONNX Runtime cannot run it."""
        return self._load(graph.name, Exporter(self.cache_dir).export(graph, "float32").content)

    def reopen(self, name: str, fingerprint: str) -> OnnxRuntimeProgram | None:
        """See `Backend`."""
        kept = Exporter(self.cache_dir).reopen(name, fingerprint, "float32")
        return self._load(name, kept.content) if kept is not None else None

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
        except _FAILURES as exc:
            raise BackendUnavailable(
                f"ONNX Runtime cannot run {name}: {exc}", remedy="Set backend to torch."
            ) from exc
        # Where a provider cannot start (a driver is missing), it falls back to the CPU and only logs it.
        if session.get_providers()[0] != self.provider:
            raise BackendUnavailable(
                f"ONNX Runtime fell back from {self.provider} to {session.get_providers()[0]}.",
                remedy="See its log for what is missing.",
            )
        return OnnxRuntimeProgram(session, tuple(port.name for port in session.get_inputs()))


@dataclass(frozen=True, slots=True, eq=False)
class OnnxRuntimeProgram:
    """A session; also its own runner, for threads may share it and it keeps nothing between calls."""

    session: ort.InferenceSession
    inputs: tuple[str, ...]

    def runner(self) -> OnnxRuntimeProgram:
        """Itself."""
        return self

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """See `Runner`."""
        return tuple(self.session.run(None, dict(zip(self.inputs, inputs, strict=True))))
