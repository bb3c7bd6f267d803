"""Export graphs as ONNX files, which every backend but torch runs.

Precision is a property of the file. The cache key of a file is the graph's fingerprint, the precision, and
the code and library versions that make it. An export needs torch and takes seconds (`tracing.py`); reading it
from the cache needs neither.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from engines.backends.artifact_cache import Artifact, ArtifactCache, artifact_key
from engines.backends.cpu import saturates_int8
from engines.backends.graph import Graph, Precision

log = logging.getLogger(__name__)

_SOURCES: Final = ("tracing.py", "bfloat16.py", "int8.py")
_LIBRARIES: Final = ("torch", "onnxruntime", "onnx-ir")


@dataclass(frozen=True, slots=True)
class Exporter:
    """Exports graphs and caches the files."""

    cache_dir: Path | None = None
    "Folder of the cache; None exports every time."

    def export(self, graph: Graph, precision: Precision) -> Artifact:
        """Return the graph's file from the cache, or export it."""
        cached = self.reopen(graph.name, graph.fingerprint, precision)
        if cached is not None:
            return cached
        content = self._make(graph, precision)
        return self._files.write(_key(graph.name, graph.fingerprint, precision), content)

    def reopen(self, name: str, fingerprint: str, precision: Precision) -> Artifact | None:
        """Return a graph's file from the cache; None where it is missing or damaged."""
        return self._files.read(_key(name, fingerprint, precision))

    def _make(self, graph: Graph, precision: Precision) -> bytes:
        if precision == "float32":
            return _traced(graph)
        float32 = self.export(graph, "float32").content
        return _rounded(float32) if precision == "bfloat16" else _quantised(float32, graph)

    @property
    def _files(self) -> ArtifactCache:
        return ArtifactCache(self.cache_dir, ".onnx")


def tensor_names(exported: Artifact) -> tuple[str, ...]:
    """Return the names of a file's inputs and then its outputs, in the graph's order."""
    import onnx

    graph = onnx.load_model_from_string(exported.content).graph
    return tuple(value.name for value in (*graph.input, *graph.output))


def _traced(graph: Graph) -> bytes:
    from engines.backends.tracing import trace

    return trace(graph)


def _rounded(content: bytes) -> bytes:
    from engines.backends.bfloat16 import to_bfloat16

    return to_bfloat16(content)


def _quantised(content: bytes, graph: Graph) -> bytes:
    if graph.calibration is None:
        return content
    from engines.backends.int8 import to_int8

    log.info("Quantising %s to int8; once, up to a few minutes.", graph.name)
    return to_int8(content, graph.calibration.inputs(), graph.calibration.ignored_scope)


def _key(name: str, fingerprint: str, precision: Precision) -> str:
    weights = "-half-range" if precision == "int8" and saturates_int8() else ""
    return artifact_key(f"{name}-{precision}{weights}", fingerprint, _exporter_digest())


@cache
def _exporter_digest() -> str:
    """Return a digest of what an exported file depends on beside its graph."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update(Path(__file__).with_name(name).read_bytes())
    digest.update(" ".join(version(library) for library in _LIBRARIES).encode())
    return digest.hexdigest()
