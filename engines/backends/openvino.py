"""OpenVINO on the CPU: the default where there is no GPU.

It reads the exported float32 file: as exact and as fast as what OpenVINO makes of the module itself, and
made in a third of the time (nano, SAM 2.1 tiny). OpenVINO keeps its compiled blobs beside the file.
bfloat16 where the CPU computes in it: on a CPU with avx512_bf16 it takes about 0.6 of float32's time (see
the module card of nano for what it does to the masks). Inputs and outputs are shared with numpy, not
copied.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import openvino as ov

from engines.backends.export import Exporter
from engines.backends.graph import Array, Graph, Precision
from engines.backends.kept_files import KeptFile
from streaming.errors import BackendUnavailable

_HINTS: Final[dict[Precision, str]] = {"float32": "f32", "bfloat16": "bf16"}


@dataclass(frozen=True, slots=True)
class OpenVinoBackend:
    """Compiles graphs for the CPU this process runs on."""

    threads: int = 1
    "CPU threads of one call."
    parallel: int = 1
    "Calls of one program that may run at the same time, each with its own threads."
    precision: Precision | Literal["auto"] = "auto"
    '"float32", "bfloat16", or "auto": the faster one this CPU computes in.'
    cache_dir: Path | None = None
    "Where exported graphs and compiled blobs are kept; None makes them anew each time."

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return "openvino"

    @property
    def computes_in(self) -> Precision:
        """As asked for; what is faster here where that was left to it."""
        if self.precision != "auto":
            return self.precision
        rounds = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bfloat16" if rounds else "float32"

    @property
    def keeps_programs(self) -> bool:
        """In `cache_dir`."""
        return self.cache_dir is not None

    def compile(self, graph: Graph) -> OpenVinoProgram:
        """Export (or read) a graph and compile it. Raises BackendUnavailable where OpenVINO cannot."""
        return self._load(graph.name, Exporter(self.cache_dir).export(graph, "float32"))

    def reopen(self, name: str, fingerprint: str) -> OpenVinoProgram | None:
        """See `Backend`."""
        kept = Exporter(self.cache_dir).reopen(name, fingerprint, "float32")
        return self._load(name, kept) if kept is not None else None

    def _load(self, name: str, file: KeptFile) -> OpenVinoProgram:
        core = ov.Core()
        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[self.computes_in],
            "INFERENCE_NUM_THREADS": self.threads * self.parallel,
            "NUM_STREAMS": self.parallel,
            # Streams of several processes share the machine: leave placing threads to the kernel.
            "ENABLE_CPU_PINNING": False,
        }
        with _translated(name):
            if file.path is not None:
                options["CACHE_DIR"] = str(file.path.parent / "blobs")
                return OpenVinoProgram(core.compile_model(file.path, "CPU", options))
            # Not from memory: read from there, a model loses the inputs that it makes no use of.
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "graph.onnx"
                path.write_bytes(file.content)
                return OpenVinoProgram(core.compile_model(path, "CPU", options))


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as exc:
        raise BackendUnavailable(
            f"OpenVINO cannot compile {name}: {_last_line(exc)}", remedy="Set backend to torch."
        ) from exc


def _last_line(exc: RuntimeError) -> str:
    """Where OpenVINO says what is wrong; the lines before say where in its sources."""
    return [line for line in str(exc).splitlines() if line.strip()][-1].strip()


@dataclass(frozen=True, slots=True, eq=False)
class OpenVinoProgram:
    """A compiled model; requests share its weights."""

    compiled: Any

    def runner(self) -> OpenVinoRunner:
        """An inference request of its own."""
        return OpenVinoRunner(self.compiled.create_infer_request(), len(self.compiled.outputs))


@dataclass(frozen=True, slots=True, eq=False)
class OpenVinoRunner:
    """One inference request."""

    request: Any
    outputs: int

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """See `Runner`."""
        result = self.request.infer(list(inputs), share_inputs=True, share_outputs=True)
        return tuple(result[index] for index in range(self.outputs))
