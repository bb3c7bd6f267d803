"""`saccade export`: build a tracker's graphs for a backend, and check each against torch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from engines.backends.artifact_cache import Artifact
from engines.backends.choose import choose_backend
from engines.backends.graph import Backend, Graph, Precision
from engines.backends.onnx_export import Exporter
from engines.backends.parity_check import ParityReference
from engines.backends.tensorrt import TensorRtBackend, load_tensorrt
from engines.tracking.checkpoints import load_tracker_weights
from engines.tracking.compilation import tracker_graphs
from streaming.errors import BackendUnavailable
from streaming.settings import Settings

MOST_DIFFERENT: Final = 0.1
"""A graph that differs by more is broken. nano, on the made-up inputs here: bfloat16 0.01, float32 2e-6."""
MOST_DIFFERENT_INT8: Final = 0.5
"In int8, whose ranges are of other inputs than those made up here: nano 0.22."


@dataclass(frozen=True, slots=True)
class ExportedGraph:
    """One graph, built and checked."""

    graph: str
    build_s: float
    "0 and little more where it was built before."
    files: dict[str, int]
    "Bytes, by name; in the folder, where there is room on the disk."
    difference: dict[str, float] | None
    "By output, see `checking.ReferenceCall`; None if it cannot run here."
    not_run: str = ""
    "Why it cannot."


class TrackerExport:
    """Builds a tracker's graphs one after the other; each is checked on what those before it gave."""

    def __init__(self, settings: Settings) -> None:
        """`settings` say which tracker, backend, precision, sizes, and where files go.

        Raises NotFound, CheckpointError, InvalidSettings; BackendUnavailable where not even building is
        possible here.
        """
        self._backend = _backend(settings)
        self._exporter = Exporter(settings.cache_dir)
        weights = load_tracker_weights(settings.tracker, settings.tracker_px)
        self.graphs: tuple[Graph, ...] = tracker_graphs(weights)
        self._reference = ParityReference(threads=settings.tracker_threads)

    @property
    def backend(self) -> str:
        """Its name, of `auto` too."""
        return self._backend.name

    def build(self, graph: Graph) -> ExportedGraph:
        """Build and check one. Raises BackendUnavailable if that fails, or does not give what torch gives."""
        call = self._reference.call(graph)
        start_s = time.perf_counter()
        files = {_name(file, graph): len(file.content) for file in self._files(graph)}
        try:
            program = self._backend.compile(graph)
        except BackendUnavailable as exc:
            if not isinstance(self._backend, TensorRtBackend):
                raise
            return ExportedGraph(graph.name, time.perf_counter() - start_s, files, None, str(exc))
        build_s = time.perf_counter() - start_s
        difference = call.differences(program.runner()(*call.inputs))
        most = MOST_DIFFERENT_INT8 if self._backend.compute_precision == "int8" else MOST_DIFFERENT
        for output, found in difference.items():
            if not found <= most:
                raise BackendUnavailable(
                    f"{self.backend} gives another {output} of {graph.name} than torch, by {found:.1%}.",
                    remedy="Set backend to torch.",
                )
        return ExportedGraph(graph.name, build_s, files, difference)

    def _files(self, graph: Graph) -> list[Artifact]:
        if isinstance(self._backend, TensorRtBackend):
            return [self._exporter.export(graph, self._backend.precision), self._backend.build(graph)]
        if not self._backend.caches_programs:
            return []
        read: Precision = "int8" if self._backend.compute_precision == "int8" else "float32"
        return [self._exporter.export(graph, read)]


def _backend(settings: Settings) -> Backend:
    """What `choose_backend` gives; without a GPU, a TensorRT that builds only."""
    capacity, folder = settings.max_tracks_per_stream, settings.cache_dir
    precision = settings.tracker_precision
    try:
        return choose_backend(
            settings.backend,
            threads=settings.tracker_threads,
            capacity=capacity,
            precision=precision,
            cache_dir=folder,
        )
    except BackendUnavailable:
        if settings.backend != "tensorrt" or precision == "int8" or load_tensorrt() is None:
            raise
        return TensorRtBackend("bfloat16" if precision == "auto" else precision, capacity, folder)


def _name(file: Artifact, graph: Graph) -> str:
    return file.path.name if file.path is not None else graph.name
