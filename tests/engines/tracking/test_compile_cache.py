"""What was compiled once is opened again, without torch, and only if it is the same."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engines.backends.graph import Graph, Program
from engines.backends.torch_backend import TorchBackend
from engines.tracking.checkpoints import save_tracker
from engines.tracking.compile_cache import open_tracker
from engines.tracking.compiled import GRAPHS, CompiledTracker
from lab.training.tracker_recipe import fresh_tracker
from streaming.errors import NotFound
from tests.up import CACHE


@dataclass
class Shelf:
    """A backend that keeps its programs, in memory, and counts what it had to compile."""

    kept: dict[tuple[str, str], Program] = field(default_factory=dict)
    compiled: list[str] = field(default_factory=list)
    name: str = "shelf"
    keeps_programs: bool = True

    def compile(self, graph: Graph) -> Program:
        self.compiled.append(graph.name)
        program: Program = TorchBackend().compile(graph)
        return self.kept.setdefault((graph.name, graph.fingerprint), program)

    def reopen(self, name: str, fingerprint: str) -> Program | None:
        return self.kept.get((name, fingerprint))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_tracker(fresh_tracker(1), tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def opened(checkpoint: Path, shelf: Shelf) -> CompiledTracker:
    return open_tracker(checkpoint, shelf, checkpoint.parent / "notes")


def test_the_second_time_nothing_is_compiled_and_all_is_as_before(checkpoint: Path, shelf: Shelf) -> None:
    first, second = opened(checkpoint, shelf), opened(checkpoint, shelf)
    assert shelf.compiled == list(GRAPHS)
    assert (second.name, second.backend, second.shape) == (str(checkpoint), "shelf", first.shape)
    assert all(getattr(second, graph) is getattr(first, graph) for graph in GRAPHS)


def test_other_weights_are_compiled_anew(checkpoint: Path, shelf: Shelf) -> None:
    first = opened(checkpoint, shelf)
    save_tracker(fresh_tracker(2), checkpoint)
    assert opened(checkpoint, shelf).encode is not first.encode
    assert len(shelf.compiled) == 2 * len(GRAPHS)


def test_what_is_only_half_there_is_compiled_anew(checkpoint: Path, shelf: Shelf) -> None:
    opened(checkpoint, shelf)
    del shelf.kept[next(key for key in shelf.kept if key[0] == "track")]
    opened(checkpoint, shelf)
    assert len(shelf.compiled) == 2 * len(GRAPHS)


@pytest.mark.parametrize("spoilt", ["", "[]", "{}", '{"shape": {"side": 1}, "fingerprint": "x"}'])
def test_a_note_that_cannot_be_read_is_written_anew(checkpoint: Path, shelf: Shelf, spoilt: str) -> None:
    opened(checkpoint, shelf)
    (note,) = (checkpoint.parent / "notes").iterdir()
    said = note.read_text()
    note.write_text(spoilt)
    opened(checkpoint, shelf)
    assert note.read_text() == said


def test_where_nothing_can_be_written_it_works_all_the_same(checkpoint: Path, shelf: Shelf) -> None:
    (checkpoint.parent / "notes").write_text("in the way of a folder")
    assert opened(checkpoint, shelf).backend == "shelf"


def test_a_backend_that_keeps_nothing_gets_no_notes(checkpoint: Path) -> None:
    open_tracker(checkpoint, TorchBackend(), checkpoint.parent / "notes")
    assert not (checkpoint.parent / "notes").exists()


def test_a_checkpoint_that_is_gone_is_not_opened_from_what_was_kept(checkpoint: Path, shelf: Shelf) -> None:
    opened(checkpoint, shelf)
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(NotFound):
        opened(checkpoint, shelf)


OPEN_AND_STEP = """
import sys
from pathlib import Path
import numpy as np
from engines.backends.choose import choose_backend
from engines.tracking.compile_cache import open_tracker
from engines.tracking.tracker import SamTracker
from streaming.vocabulary import Clock, Frame, StreamId
cache = Path(sys.argv[1])
tracker = SamTracker(open_tracker("nano", choose_backend("openvino", cache_dir=cache), cache))
tracker.step(Frame(StreamId("s"), 0, np.zeros((48, 64, 3), np.uint8), 0.0, 0.0, Clock.ARRIVAL))
tracker.pin(0)
print(*sorted({"torch", "transformers"} & sys.modules.keys()))
"""


def test_a_process_that_opens_what_another_kept_imports_no_torch() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", OPEN_AND_STEP, str(CACHE)], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert said[1].split() == []
