"""`saccade export`: build a tracker's graphs for a backend and compare each with torch."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engines.backends.artifact_cache import Artifact
from engines.backends.choose import choose_backend
from engines.backends.graph import Backend, Graph, Precision
from engines.backends.onnx_export import Exporter
from engines.backends.parity_check import ParityReference, require_parity
from engines.backends.tensorrt import TensorRtBackend, load_tensorrt
from engines.tracking.checkpoints import load_tracker_weights
from engines.tracking.compilation import tracker_graphs
from streaming.errors import BackendUnavailable
from streaming.settings import Settings


@dataclass(frozen=True, slots=True)
class ExportedGraph:
    """One graph after building. The field names are the JSON of `saccade export --json`."""

    graph: str
    build_s: float
    "Seconds; nearly 0 if the cache already had the graph."
    files: dict[str, int]
    "Bytes by file name."
    difference: dict[str, float] | None
    "By output, see `engines.backends.parity_check`; None if the graph cannot run on this machine."
    not_run: str = ""
    "Reason for `difference` being None."


class TrackerExport:
    """Builds a tracker's graphs in order; each is compared on the outputs of those before it."""

    def __init__(self, settings: Settings) -> None:
        """Load the tracker of `settings`; they also give the backend, precision, size and cache folder.

        Raises NotFound, CheckpointError, InvalidSettings; BackendUnavailable if the backend can neither
        run nor build here.
        """
        self._backend = _backend(settings)
        self._exporter = Exporter(settings.cache_dir)
        weights = load_tracker_weights(settings.tracker, settings.tracker_px)
        self.graphs: tuple[Graph, ...] = tracker_graphs(weights)
        self._reference = ParityReference(threads=settings.tracker_threads)

    @property
    def backend(self) -> str:
        """Name of the backend, resolved if the setting is `auto`."""
        return self._backend.name

    def build(self, graph: Graph) -> ExportedGraph:
        """Build a graph and compare it. Raises BackendUnavailable if it fails or differs too much."""
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
        difference = require_parity(self._backend, program, call)
        return ExportedGraph(graph.name, build_s, files, difference)

    def _files(self, graph: Graph) -> list[Artifact]:
        if isinstance(self._backend, TensorRtBackend):
            return [self._exporter.export(graph, self._backend.precision), self._backend.build(graph)]
        if not self._backend.caches_programs:
            return []
        read: Precision = "int8" if self._backend.compute_precision == "int8" else "float32"
        return [self._exporter.export(graph, read)]


def _backend(settings: Settings) -> Backend:
    """Return the backend of the settings; for `tensorrt` without a GPU, a backend that only builds."""
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
