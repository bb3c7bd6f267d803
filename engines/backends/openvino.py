"""OpenVINO on the CPU, the default without a GPU.

It compiles the exported float32 (or int8) file: as exact and as fast as converting the module directly, in a
third of the time (nano, SAM 2.1 tiny). OpenVINO caches its compiled blobs beside the files. By default it
computes in bfloat16 where the CPU supports it: with avx512_bf16 in about 0.6 of float32's time (the effect on
masks is in nano's model card). Inputs and outputs are shared with numpy, not copied.
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

from engines.backends.artifact_cache import Artifact
from engines.backends.graph import Array, Graph, Precision, PrecisionChoice
from engines.backends.lazy_compilation import count_compilation
from engines.backends.onnx_export import Exporter
from streaming.errors import BackendUnavailable

log = logging.getLogger(__name__)

_CORE: Final = ov.Core()
"""Never destroyed. The CPU plugin gives the thread that loads it an alternate signal stack and unmaps that
stack when it is unloaded, in any thread: the loading thread's next signal would kill the process."""
_HINTS: Final = {"float32": "f32", "bfloat16": "bf16"}


@dataclass(frozen=True, slots=True)
class OpenVinoBackend:
    """Compiles graphs for this machine's CPU."""

    threads: int = 1
    "CPU threads of one call while few calls run at a time; else 1 (see OpenVinoProgram)."
    parallel: int = 1
    "Calls of one program that run at the same time with `threads` each."
    precision: PrecisionChoice = "auto"
    cache_dir: Path | None = None
    "For exported graphs and compiled blobs; None stores nothing."

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return "openvino"

    @property
    def compute_precision(self) -> Precision:
        """The precision asked for; for `auto` the faster of float32 and bfloat16 here."""
        return self._float_precision if self.precision == "auto" else self.precision

    @property
    def file_precision(self) -> Precision:
        """Precision of the exported files: OpenVINO converts float32 to bfloat16 itself."""
        return "int8" if self.precision == "int8" else "float32"

    @property
    def _float_precision(self) -> Literal["float32", "bfloat16"]:
        """Precision of the products that are not int8."""
        if self.precision in ("float32", "bfloat16"):
            return self.precision
        supported = "BF16" in _CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bfloat16" if supported else "float32"

    @property
    def caches_programs(self) -> bool:
        """Whether there is a `cache_dir`."""
        return self.cache_dir is not None

    def compile(self, graph: Graph) -> OpenVinoProgram:
        """Compile a graph, exported or from the cache. Raises BackendUnavailable where OpenVINO cannot."""
        return self._load(graph.name, Exporter(self.cache_dir).export(graph, self.file_precision))

    def reopen(self, name: str, fingerprint: str) -> OpenVinoProgram | None:
        """See `Backend`."""
        cached = Exporter(self.cache_dir).reopen(name, fingerprint, self.file_precision)
        return self._load(name, cached) if cached is not None else None

    def _load(self, name: str, file: Artifact) -> OpenVinoProgram:
        # A file on disk is read again when the program compiles another model, instead of held in memory.
        source = file if file.path is None else replace(file, content=b"")
        return OpenVinoProgram(partial(self._compile, name, source), self.threads, self.parallel)

    def _compile(self, name: str, file: Artifact, threads: int, parallel: int) -> Any:
        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[self._float_precision],
            "INFERENCE_NUM_THREADS": threads * parallel,
            "NUM_STREAMS": parallel,
            # Several processes share the machine: the kernel places threads.
            "ENABLE_CPU_PINNING": False,
        }
        with _translated(name):
            if file.path is not None:
                options["CACHE_DIR"] = str(file.path.parent / "blobs")
                return _CORE.compile_model(file.path, "CPU", options)
            # From a file: a model read from memory loses its unused inputs.
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
    """Return the last line of OpenVINO's message; the lines before locate the error in its sources."""
    return [line for line in str(exc).splitlines() if line.strip()][-1].strip()


Compile = Callable[[int, int], Any]
"Compiles the model for (threads per call, calls at a time)."

ACTIVE_S: Final = 1.0
"A runner counts as active for this long after a call; later its camera is away or it is unused."


class OpenVinoProgram:
    """A model compiled for the number of runners that are active at the same time; requests share its
    weights.

    A single active runner's call stays on the calling thread. With several, OpenVINO hands calls to its own
    threads, which costs a fifth of nano's frame time (one thread, two CPUs), since the caller wakes up on the
    other CPU. With more runners than fit beside one another, each call takes one thread: two threads on one
    image of nano take 25 % more CPU than one. Outputs are bit-equal in all of nano's graphs. Each further
    model holds the weights once more.
    """

    def __init__(
        self, compiled: Compile, threads: int, parallel: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Compiles for one runner at once; raises what `compiled` raises. `clock` returns seconds."""
        self._compile, self._clock = compiled, clock
        single, parallel_calls, crowded = (threads, 1), (threads, parallel), (1, threads * parallel)
        self._configurations = tuple(dict.fromkeys((single, parallel_calls, crowded)))
        "(threads per call, calls at a time), the fewest calls first."
        self._models = {single: compiled(*single)}
        self._numbers = itertools.count()
        self._called_s: dict[int, float] = {}
        "Time of each runner's last call, by its number."
        self._lock, self._compiling = threading.Lock(), threading.Lock()

    def runner(self) -> OpenVinoRunner:
        """Create a runner with its own request. May compile a model for one more active runner."""
        number = next(self._numbers)
        return OpenVinoRunner(self, number, self.model_for(number))

    def model_for(self, number: int) -> Any:
        """Return the model that a runner should use now."""
        now_s = self._clock()
        with self._lock:
            self._called_s = {
                other: called_s for other, called_s in self._called_s.items() if now_s - called_s < ACTIVE_S
            } | {number: now_s}
            active = len(self._called_s)
        fitting = (one for one in self._configurations if active <= one[1])
        configuration = next(fitting, self._configurations[-1])
        return self._models.get(configuration) or self._compile_further(configuration)

    def _compile_further(self, configuration: tuple[int, int]) -> Any:
        """Compile a further model; callers in the meantime get the model for the most calls so far."""
        most = self._models[max(self._models, key=lambda one: one[1])]
        if not self._compiling.acquire(blocking=False):
            return most
        try:
            count_compilation()
            self._models[configuration] = self._models.get(configuration) or self._compile(*configuration)
        except BackendUnavailable as exc:
            # The file is gone or memory is short: continue with fewer calls at a time.
            log.warning("Streams share fewer parallel calls than there are streams: %s", exc)
            self._models[configuration] = most
        finally:
            self._compiling.release()
        return self._models[configuration]


class OpenVinoRunner:
    """An inference request of the model that its program assigns to it at each call."""

    def __init__(self, program: OpenVinoProgram, number: int, model: Any) -> None:
        self._program, self._number = program, number
        self._use(model)

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """See `Runner`."""
        model = self._program.model_for(self._number)
        if model is not self._model:
            self._use(model)
        # Set one by one: `infer(inputs)` inspects the type of each, 0.45 ms of nano's 11 ms per frame. Arrays
        # that are contiguous and writable are shared, others copied. The request holds no reference.
        inputs = tuple(np.require(array, requirements=["C", "W"]) for array in inputs)
        for index, array in enumerate(inputs):
            self._request.set_input_tensor(index, ov.Tensor(array, shared_memory=True))
        self._request.infer(share_outputs=True)
        return tuple(self._request.get_output_tensor(index).data for index in range(len(model.outputs)))

    def _use(self, model: Any) -> None:
        self._model, self._request = model, model.create_infer_request()
