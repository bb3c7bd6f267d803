"""A compiled tracker, opened without torch wherever an earlier process left all that it takes.

Importing torch and transformers takes three seconds, and only converting weights needs them: a stream whose
worker died should not wait for that. The backend keeps its programs on disk under the weights' fingerprint;
what else must be known to run them is noted beside them, under the digest of the checkpoint's files.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

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
)
"Files that a note follows from, beside the checkpoint."


def tracker_graphs(weights: TrackerWeights) -> tuple[Graph, ...]:
    """The graphs named in `compiled.GRAPHS`, in that order, with int8's calibration."""
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
    "Of the graphs: the name under which a backend keeps its programs."


def open_tracker(
    name_or_path: str | Path, backend: Backend, notes_dir: Path, side_px: int | None = None
) -> CompiledTracker:
    """What was compiled of a checkpoint and kept; compiled and noted if nothing was.

    name_or_path, side_px: as `checkpoints.load_tracker_weights` takes them.
    Raises NotFound, CheckpointError, InvalidSettings, BackendUnavailable.
    """
    if not backend.keeps_programs:
        return _compile(name_or_path, side_px, backend)
    path = notes_dir / f"tracker-{_key(name_or_path, side_px)}.json"
    note = _read(path)
    kept = _reopen(str(name_or_path), backend, note) if note is not None else None
    if kept is None:
        kept = _compile(name_or_path, side_px, backend)
        _write(_Note(kept.shape, kept.fingerprint), path)
    return kept


def _reopen(name: str, backend: Backend, note: _Note) -> CompiledTracker | None:
    programs = {graph: backend.reopen(graph, note.fingerprint) for graph in GRAPHS}
    kept = {graph: program for graph, program in programs.items() if program is not None}
    if len(kept) < len(GRAPHS):
        return None
    return CompiledTracker(name, backend.name, note.shape, note.fingerprint, **kept)


def _compile(name_or_path: str | Path, side_px: int | None, backend: Backend) -> CompiledTracker:
    from engines.tracking.checkpoints import load_tracker_weights

    return compile_tracker(load_tracker_weights(name_or_path, side_px), backend)


def _key(name_or_path: str | Path, side_px: int | None) -> str:
    """Changes with the checkpoint, and with whatever code its fingerprint and its shape follow from."""
    files = digest_of(*checkpoint_files(name_or_path).all, *_SOURCES)
    return f"{files[:24]}-{side_px or 'own'}-{version('transformers')}"


def _read(path: Path) -> _Note | None:
    """None where there is no note, or none that can be read: it is then written anew."""
    try:
        said = json.loads(path.read_text())
        return _Note(TrackerShape(**said["shape"]), said["fingerprint"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(note: _Note, path: Path) -> None:
    """A note that cannot be kept, on a full disk say, costs the next process time and this one nothing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(asdict(note)))
        partial.replace(path)
    except OSError as exc:
        log.warning("%s cannot be kept: %s", path, exc)
