"""Compile a tracker, or reopen what an earlier process compiled, without torch.

Importing torch and transformers takes three seconds and is only needed to convert weights; a restarted worker
should not wait for it. Backends cache their programs on disk under the graphs' fingerprint. The sizes and the
fingerprint, which are needed to reopen them, are in a note whose name has the digest of the checkpoint's
files.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engines.backends.cpu import cpu_digest
from engines.backends.graph import Backend, Graph
from engines.tracking.checkpoint_files import checkpoint_files, digest_of
from engines.tracking.compiled import GRAPH_SOURCES, GRAPHS, CompiledTracker
from engines.tracking.shape import TrackerShape

if TYPE_CHECKING:
    from engines.tracking.checkpoints import TrackerWeights

log = logging.getLogger(__name__)

_SOURCES: Final = (
    *GRAPH_SOURCES,
    *(
        Path(__file__).with_name(name)
        for name in ("checkpoint_files.py", "checkpoints.py", "compiled.py", "weight_names.py")
    ),
    Path(__file__).parents[1] / "backends" / "parity_check.py",
)
"Files that a note depends on, beside the checkpoint."


def tracker_graphs(weights: TrackerWeights) -> tuple[Graph, ...]:
    """Create the graphs named in `compiled.GRAPHS`, in that order, with their int8 calibration."""
    # Imported here: a process that opens compiled graphs from the cache does not import torch.
    from engines.tracking.calibration import calibrated_graphs

    return calibrated_graphs(weights)


def compile_tracker(weights: TrackerWeights, backend: Backend) -> CompiledTracker:
    """Compile the graphs of a checkpoint. Raises BackendUnavailable where the backend cannot."""
    from engines.tracking.graph_set import compile_graphs

    return compile_graphs(weights, tracker_graphs(weights), backend)


@dataclass(frozen=True, slots=True)
class _Note:
    shape: TrackerShape
    fingerprint: str
    "Of the graphs, under which the backend caches its programs."


def open_tracker(
    name_or_path: str | Path, backend: Backend, notes_dir: Path, side_px: int | None = None
) -> CompiledTracker:
    """Open a checkpoint's compiled graphs from the cache; compile and cache them where that is not possible.

    name_or_path, side_px: see `checkpoints.load_tracker_weights`. notes_dir: folder of the notes.
    What was compiled is compared with torch once. Raises NotFound, CheckpointError, InvalidSettings;
    BackendUnavailable where the backend cannot compile the graphs or computes them wrong.
    """
    if not backend.caches_programs:
        return compile_tracker(_load(name_or_path, side_px), backend)
    path = notes_dir / f"tracker-{_key(name_or_path, side_px, backend)}.json"
    note = _read(path)
    compiled = _reopen(str(name_or_path), backend, note) if note is not None else None
    if compiled is None:
        compiled = _compile_checked(_load(name_or_path, side_px), backend)
        _write(_Note(compiled.shape, compiled.fingerprint), path)
    return compiled


def _reopen(name: str, backend: Backend, note: _Note) -> CompiledTracker | None:
    programs = {graph: backend.reopen(graph, note.fingerprint) for graph in GRAPHS}
    cached = {graph: program for graph, program in programs.items() if program is not None}
    if len(cached) < len(GRAPHS):
        return None
    return CompiledTracker(name, backend.name, note.shape, note.fingerprint, **cached)


def _compile_checked(weights: TrackerWeights, backend: Backend) -> CompiledTracker:
    from engines.backends.parity_check import ParityReference, require_parity
    from engines.tracking.graph_set import compile_graphs

    graphs = tracker_graphs(weights)
    compiled = compile_graphs(weights, graphs, backend)
    reference = ParityReference()
    for graph in graphs:
        require_parity(backend, getattr(compiled, graph.name), reference.call(graph))
    return compiled


def _load(name_or_path: str | Path, side_px: int | None) -> TrackerWeights:
    from engines.tracking.checkpoints import load_tracker_weights

    return load_tracker_weights(name_or_path, side_px)


def _key(name_or_path: str | Path, side_px: int | None, backend: Backend) -> str:
    """Return the note's key: checkpoint, code, and what the comparison with torch was made on.

    That is the backend with its precision, the runtimes' versions and the CPU: programs of one cache may be
    opened in another precision, or on another machine.
    """
    files = digest_of(*checkpoint_files(name_or_path).all, *_SOURCES)
    versions = "-".join(version(library) for library in ("transformers", "openvino", "onnxruntime"))
    place = f"{backend.name}-{backend.compute_precision}-{cpu_digest()}"
    return f"{files[:24]}-{side_px or 'own'}-{versions}-{place}"


def _read(path: Path) -> _Note | None:
    """Return a note; None where it is missing or invalid, and is then written again."""
    try:
        values = json.loads(path.read_text())
        return _Note(TrackerShape(**values["shape"]), values["fingerprint"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(note: _Note, path: Path) -> None:
    """Write a note. A failure (a full disk) is logged; the next process then compiles again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(asdict(note)))
        partial.replace(path)
    except OSError as exc:
        log.warning("%s cannot be stored: %s", path, exc)
