"""OpenVINO on the CPU: the default where there is no GPU.

It reads the exported float32 file (or int8's): as exact and as fast as what OpenVINO makes of the module
itself, and made in a third of the time (nano, SAM 2.1 tiny). OpenVINO keeps its compiled blobs beside it.
bfloat16 where the CPU computes in it: on a CPU with avx512_bf16 it takes about 0.6 of float32's time (see
the module card of nano for what it does to the masks). Inputs and outputs are shared with numpy, not
copied.
"""

from __future__ import annotations

import itertools
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import openvino as ov

from engines.backends.artifact_cache import KeptFile
from engines.backends.graph import Array, Graph, Precision, PrecisionChoice
from engines.backends.onnx_export import Exporter
from streaming.errors import BackendUnavailable

log = logging.getLogger(__name__)

_CORE: Final = ov.Core()
"""Never ended. The CPU plugin gives the thread that loads it an alternate stack for signals, and unmaps it
when it is unloaded, in whatever thread: the next signal that the loading thread takes kills the process."""
_HINTS: Final = {"float32": "f32", "bfloat16": "bf16"}


@dataclass(frozen=True, slots=True)
class OpenVinoBackend:
    """Compiles graphs for the CPU this process runs on."""

    threads: int = 1
    "CPU threads of one call; of one among many, one."
    parallel: int = 1
    "Calls of one program that may run at the same time, each with its own threads."
    precision: PrecisionChoice = "auto"
    cache_dir: Path | None = None
    "Where exported graphs and compiled blobs are kept; None makes them anew each time."

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return "openvino"

    @property
    def computes_in(self) -> Precision:
        """As asked for; what is faster here where that was left to it."""
        return self._floats if self.precision == "auto" else self.precision

    @property
    def reads(self) -> Precision:
        """That of the exported files it runs: products in bfloat16 it makes of float32 itself."""
        return "int8" if self.precision == "int8" else "float32"

    @property
    def _floats(self) -> Literal["float32", "bfloat16"]:
        """What is not int8 is multiplied in."""
        if self.precision in ("float32", "bfloat16"):
            return self.precision
        rounds = "BF16" in _CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bfloat16" if rounds else "float32"

    @property
    def keeps_programs(self) -> bool:
        """In `cache_dir`."""
        return self.cache_dir is not None

    def compile(self, graph: Graph) -> OpenVinoProgram:
        """Export (or read) a graph and compile it. Raises BackendUnavailable where OpenVINO cannot."""
        return self._load(graph.name, Exporter(self.cache_dir).export(graph, self.reads))

    def reopen(self, name: str, fingerprint: str) -> OpenVinoProgram | None:
        """See `Backend`."""
        kept = Exporter(self.cache_dir).reopen(name, fingerprint, self.reads)
        return self._load(name, kept) if kept is not None else None

    def _load(self, name: str, file: KeptFile) -> OpenVinoProgram:
        # What is on disk is read from there: a program that is compiled once more must not keep it in memory.
        source = file if file.path is None else replace(file, content=b"")
        return OpenVinoProgram(partial(self._compile, name, source), self.threads, self.parallel)

    def _compile(self, name: str, file: KeptFile, threads: int, parallel: int) -> Any:
        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[self._floats],
            "INFERENCE_NUM_THREADS": threads * parallel,
            "NUM_STREAMS": parallel,
            # Streams of several processes share the machine: leave placing threads to the kernel.
            "ENABLE_CPU_PINNING": False,
        }
        with _translated(name):
            if file.path is not None:
                options["CACHE_DIR"] = str(file.path.parent / "blobs")
                return _CORE.compile_model(file.path, "CPU", options)
            # Not from memory: read from there, a model loses the inputs that it makes no use of.
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "graph.onnx"
                path.write_bytes(file.content)
                return _CORE.compile_model(path, "CPU", options)


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


Compile = Callable[[int, int], Any]
"Makes a model ready for so many threads a call, and so many calls at a time."

RECENT_S: Final = 1.0
"A runner that has not been called for so long takes no room: its camera is away, or nobody has it any more."


class OpenVinoProgram:
    """A model compiled for as many calls at a time as there are runners at work; requests share its weights.

    For one alone the call stays in the thread that makes it. Among others it is handed to a thread of
    OpenVINO's and back: a fifth of nano's frame (one thread, two processors), for the caller wakes up on the
    other processor. Where more are at work than fit beside one another, each call takes one thread: two
    threads on one of nano's pictures take a quarter more of the processor than one. What comes out is the
    same bit for bit, in all of nano's graphs. Each further model costs its weights once more.
    """

    def __init__(
        self, compiled: Compile, threads: int, parallel: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Compiles for one alone at once; raises what `compiled` does. `clock` is in seconds."""
        self._compile, self._clock = compiled, clock
        alone, beside, crowded = (threads, 1), (threads, parallel), (1, threads * parallel)
        self._ways = tuple(dict.fromkeys((alone, beside, crowded)))
        "Threads of a call, and calls at a time, the fewest first."
        self._models = {alone: compiled(*alone)}
        self._numbers = itertools.count()
        self._called_s: dict[int, float] = {}
        "When each runner was called last."
        self._lock, self._compiling = threading.Lock(), threading.Lock()

    def runner(self) -> OpenVinoRunner:
        """Inference requests of its own. Compiles where it joins others at work and is one too many."""
        number = next(self._numbers)
        return OpenVinoRunner(self, number, self.model_for(number))

    def model_for(self, number: int) -> Any:
        """The model that a runner shall call now."""
        now_s = self._clock()
        with self._lock:
            self._called_s = {
                other: called_s for other, called_s in self._called_s.items() if now_s - called_s < RECENT_S
            } | {number: now_s}
            at_work = len(self._called_s)
        way = next((way for way in self._ways if at_work <= way[1]), self._ways[-1])
        return self._models.get(way) or self._make(way)

    def _make(self, way: tuple[int, int]) -> Any:
        """A further model; that for the most calls so far for whoever comes while it is compiled."""
        most = self._models[max(self._models, key=lambda way: way[1])]
        if not self._compiling.acquire(blocking=False):
            return most
        try:
            self._models[way] = self._models.get(way) or self._compile(*way)
        except BackendUnavailable as exc:
            # Its file is gone, memory is short: slower is better than not at all.
            log.warning("Streams go on with fewer calls at a time than there are streams: %s", exc)
            self._models[way] = most
        finally:
            self._compiling.release()
        return self._models[way]


class OpenVinoRunner:
    """An inference request of the model that its program has for it at the moment."""

    def __init__(self, program: OpenVinoProgram, number: int, model: Any) -> None:
        self._program, self._number = program, number
        self._use(model)

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """See `Runner`."""
        model = self._program.model_for(self._number)
        if model is not self._model:
            self._use(model)
        # Given one by one: `infer` looks up the kind of each input, 0.45 ms on a frame of nano's 11.
        # It shares what is contiguous and writable; the rest is copied. The request keeps nothing alive.
        inputs = tuple(np.require(array, requirements=["C", "W"]) for array in inputs)
        for index, array in enumerate(inputs):
            self._request.set_input_tensor(index, ov.Tensor(array, shared_memory=True))
        self._request.infer(share_outputs=True)
        return tuple(self._request.get_output_tensor(index).data for index in range(len(model.outputs)))

    def _use(self, model: Any) -> None:
        self._model, self._request = model, model.create_infer_request()
