"""OpenVINO on the CPU: the default where there is no GPU.

Converting a module takes seconds, so the converted graph is kept in `cache_dir` under the graph's
fingerprint, and OpenVINO keeps its compiled blobs beside it. bfloat16 where the CPU computes in it:
on a CPU with avx512_bf16 it takes about 0.6 of float32's time (see the module card of nano for what it does
to the masks). Inputs and outputs are shared with numpy, not copied.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino as ov
from torch.jit._trace import TracerWarning

from engines.backends.graph import Array, Graph
from streaming.errors import BackendUnavailable


@dataclass(frozen=True, slots=True)
class OpenVinoBackend:
    """Compiles graphs for the CPU this process runs on."""

    threads: int = 1
    "CPU threads of one call."
    parallel: int = 1
    "Calls of one program that may run at the same time, each with its own threads."
    precision: str = "auto"
    '"float32", "bfloat16", or "auto": the faster one this CPU computes in.'
    cache_dir: Path | None = None
    "Where converted graphs are kept; None converts anew each time."

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return "openvino"

    def compile(self, graph: Graph) -> OpenVinoProgram:
        """Convert (or read) a graph and compile it. Raises BackendUnavailable where OpenVINO cannot."""
        try:
            core = ov.Core()
            options = {
                "INFERENCE_PRECISION_HINT": self._precision(core),
                "INFERENCE_NUM_THREADS": self.threads * self.parallel,
                "NUM_STREAMS": self.parallel,
                # Streams of several processes share the machine: leave placing threads to the kernel.
                "ENABLE_CPU_PINNING": False,
            }
            if self.cache_dir is not None:
                options["CACHE_DIR"] = str(self.cache_dir / "blobs")
            return OpenVinoProgram(core.compile_model(self._model(core, graph), "CPU", options))
        except RuntimeError as exc:
            raise BackendUnavailable(
                f"OpenVINO cannot compile {graph.name}: {str(exc).splitlines()[0]}.",
                remedy="Set backend to torch.",
            ) from exc

    def _precision(self, core: ov.Core) -> str:
        if self.precision == "auto":
            return "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
        return {"float32": "f32", "bfloat16": "bf16"}[self.precision]

    def _model(self, core: ov.Core, graph: Graph) -> ov.Model:
        if self.cache_dir is None:
            return convert(graph)
        key = hashlib.sha256(f"{graph.name} {graph.fingerprint} {ov.__version__}".encode()).hexdigest()[:24]
        path = self.cache_dir / f"{graph.name}-{key}.xml"
        if not path.is_file():
            self.cache_dir.mkdir(parents=True, exist_ok=True)
            # Two processes may convert at once: write apart, the weights first, then rename into place.
            partial = self.cache_dir / f"{graph.name}-{key}-{os.getpid()}.xml"
            ov.save_model(convert(graph), partial, compress_to_fp16=False)
            partial.with_suffix(".bin").replace(path.with_suffix(".bin"))
            partial.replace(path)
        return core.read_model(path)


def convert(graph: Graph) -> ov.Model:
    """Trace a module into an OpenVINO model with the graph's input and output names."""
    shapes = [ov.PartialShape([-1 if size is None else size for size in port.shape]) for port in graph.ports]
    with warnings.catch_warnings():
        # torch.jit is on its way out and says so; tracing warns of every shape it takes as fixed.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", TracerWarning)
        model = ov.convert_model(graph.module, example_input=graph.examples(), input=shapes)
    for port, node in zip(graph.ports, model.inputs, strict=True):
        node.get_tensor().set_names({port.name})
    for name, node in zip(graph.outputs, model.outputs, strict=True):
        node.get_tensor().set_names({name})
    return model


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
