"""What was compiled once is opened again, without torch, and only if it is the same."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from engines.backends.graph import Graph, Program
from engines.backends.torch_backend import TorchBackend
from engines.tracking.checkpoints import TrackerWeights, save_tracker
from engines.tracking.compilation import compile_tracker, open_tracker
from engines.tracking.compiled import GRAPHS, CompiledTracker
from engines.tracking.tracker import SamTracker
from lab.evaluation.propagation import given_answer
from lab.training.tracker_recipe import fresh_tracker
from lab.training.world.scenes import draw_clip
from streaming.errors import NotFound
from streaming.vocabulary import Clock, Frame, StreamId
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


@pytest.fixture(scope="module")
def weights() -> TrackerWeights:
    return TrackerWeights("fresh", fresh_tracker(1).eval().requires_grad_(False))


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


def test_streams_that_share_a_compiled_tracker_do_not_share_memory(weights: TrackerWeights) -> None:
    compiled = compile_tracker(weights, TorchBackend())
    clip = draw_clip(5, frames=3)

    def run(tracker: SamTracker, index: int, *, first: bool = False) -> list[object]:
        frame = Frame(StreamId("s"), index, clip.frames[index], 0.0, 0.0, Clock.ARRIVAL)
        tracks = tracker.step(frame, [given_answer(clip.masks[0, :2])] if first else [])
        tracker.pin(index)
        return [(track.score, track.mask) for track in tracks]

    alone, beside, other = (SamTracker(compiled) for _ in range(3))
    expected = [run(alone, 0), run(alone, 1, first=True), run(alone, 2)]
    seen = [run(beside, 0)]
    run(other, 0)
    seen.append(run(beside, 1, first=True))
    run(other, 2, first=True)
    seen.append(run(beside, 2))
    assert seen == expected and len(seen[-1]) == 2


def test_compiling_leaves_a_model_in_training_able_to_learn() -> None:
    model = fresh_tracker(1)
    compile_tracker(TrackerWeights("training", model), TorchBackend())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert np.isfinite(float(model.no_memory_embedding.sum().detach()))


OPEN_AND_STEP = """
import sys
from pathlib import Path
import numpy as np
from engines.backends.choose import choose_backend
from engines.tracking.compilation import compile_tracker, open_tracker
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
