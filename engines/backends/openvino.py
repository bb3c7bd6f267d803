"""OpenVINO on the CPU: the default where there is no GPU.

Converting a module takes seconds, so the converted graph is kept in `cache_dir` under the graph's
fingerprint, and OpenVINO keeps its compiled blobs beside it. bfloat16 where the CPU computes in it:
on a CPU with avx512_bf16 it takes about 0.6 of float32's time (see the module card of nano for what it does
to the masks). Inputs and outputs are shared with numpy, not copied. Only converting needs torch.
"""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino as ov

from engines.backends.graph import Array, Graph
from streaming.errors import BackendUnavailable

log = logging.getLogger(__name__)


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

    @property
    def keeps_programs(self) -> bool:
        """In `cache_dir`."""
        return self.cache_dir is not None

    def compile(self, graph: Graph) -> OpenVinoProgram:
        """Convert (or read) a graph and compile it. Raises BackendUnavailable where OpenVINO cannot."""
        kept = self.reopen(graph.name, graph.fingerprint)
        if kept is not None:
            return kept
        with _translated(graph.name):
            model = convert(graph)
            path = self._path(graph.name, graph.fingerprint)
            return self._load(path if path is not None and _keep(model, path) else model)

    def reopen(self, name: str, fingerprint: str) -> OpenVinoProgram | None:
        """See `Backend`."""
        path = self._path(name, fingerprint)
        if path is None or not path.is_file():
            return None
        try:
            return self._load(path)
        except RuntimeError as exc:  # half a file, of a full disk or a power cut: made anew
            log.warning("%s cannot be read and is made anew: %s", path, _last_line(exc))
            path.unlink(missing_ok=True)
            path.with_suffix(".bin").unlink(missing_ok=True)
            return None

    def _load(self, model: ov.Model | Path) -> OpenVinoProgram:
        core = ov.Core()
        options = {
            "INFERENCE_PRECISION_HINT": self._precision(core),
            "INFERENCE_NUM_THREADS": self.threads * self.parallel,
            "NUM_STREAMS": self.parallel,
            # Streams of several processes share the machine: leave placing threads to the kernel.
            "ENABLE_CPU_PINNING": False,
        }
        if isinstance(model, Path):
            options["CACHE_DIR"] = str(model.parent / "blobs")
        return OpenVinoProgram(core.compile_model(model, "CPU", options))

    def _precision(self, core: ov.Core) -> str:
        if self.precision == "auto":
            return "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
        return {"float32": "f32", "bfloat16": "bf16"}[self.precision]

    def _path(self, name: str, fingerprint: str) -> Path | None:
        """Where the converted graph is kept."""
        if self.cache_dir is None:
            return None
        key = hashlib.sha256(f"{name} {fingerprint} {ov.__version__}".encode()).hexdigest()[:24]
        return self.cache_dir / f"{name}-{key}.xml"


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


def _keep(model: ov.Model, path: Path) -> bool:
    """Whether it could be written; on a full disk the next process converts again."""
    # Two processes may convert at once: write apart, the weights first, then rename into place.
    partial = path.with_stem(f"{path.stem}-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ov.save_model(model, partial, compress_to_fp16=False)
        partial.with_suffix(".bin").replace(path.with_suffix(".bin"))
        partial.replace(path)
    except (OSError, RuntimeError) as exc:
        log.warning("%s cannot be kept: %s", path, exc)
        return False
    return True


def convert(graph: Graph) -> ov.Model:
    """Trace a module into an OpenVINO model with the graph's input and output names."""
    from torch.jit._trace import TracerWarning

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
