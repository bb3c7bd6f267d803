"""A graph as an ONNX file: made once, run by every runtime that is not torch.

Precision is a property of the file. It is kept under the graph's fingerprint, the precision, and the code
and libraries that make it: what others made has another name and is never read. Making one needs torch and
takes seconds (`tracing.py`); finding it again needs neither.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from engines.backends.artifact_cache import KeptFile, KeptFiles, key_of
from engines.backends.graph import Graph, Precision

log = logging.getLogger(__name__)

_MAKERS: Final = ("tracing.py", "bfloat16.py", "int8.py")
_LIBRARIES: Final = ("torch", "onnxruntime", "onnx-ir")


@dataclass(frozen=True, slots=True)
class Exporter:
    """Makes ONNX files, and keeps them."""

    cache_dir: Path | None = None
    "Where; None makes them anew each time."

    def export(self, graph: Graph, precision: Precision) -> KeptFile:
        """The graph's file: the one kept, or one made now."""
        kept = self.reopen(graph.name, graph.fingerprint, precision)
        if kept is not None:
            return kept
        content = self._make(graph, precision)
        return self._files.write(_key(graph.name, graph.fingerprint, precision), content)

    def reopen(self, name: str, fingerprint: str, precision: Precision) -> KeptFile | None:
        """The file of the graph of this name and fingerprint; None where none is kept whole."""
        return self._files.read(_key(name, fingerprint, precision))

    def _make(self, graph: Graph, precision: Precision) -> bytes:
        if precision == "float32":
            return _traced(graph)
        exact = self.export(graph, "float32").content
        return _rounded(exact) if precision == "bfloat16" else _quantised(exact, graph)

    @property
    def _files(self) -> KeptFiles:
        return KeptFiles(self.cache_dir, ".onnx")


def names_of(exported: KeptFile) -> tuple[str, ...]:
    """Of its inputs and then its outputs, in the graph's order."""
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

    log.info("%s becomes int8: once, up to a few minutes.", graph.name)
    return to_int8(content, graph.calibration.inputs(), graph.calibration.exact)


def _key(name: str, fingerprint: str, precision: Precision) -> str:
    return key_of(f"{name}-{precision}", fingerprint, _made_by())


@cache
def _made_by() -> str:
    """Changes with whatever an exported file follows from, besides its graph."""
    digest = hashlib.sha256()
    for name in _MAKERS:
        digest.update(Path(__file__).with_name(name).read_bytes())
    digest.update(" ".join(version(library) for library in _LIBRARIES).encode())
    return digest.hexdigest()
