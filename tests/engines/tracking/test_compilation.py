"""Compiled trackers are shared by streams, and reopened from the cache without torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from engines.backends.graph import Array, Graph, Precision, Program, Runner
from engines.backends.torch_backend import TorchBackend
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compilation import compile_tracker, open_tracker
from engines.tracking.compiled import GRAPHS, CompiledTracker
from engines.tracking.tracker import SamTracker
from lab.evaluation.propagation import answer_from_masks
from lab.training.export import save_tracker
from lab.training.initial_weights import initial_tracker
from lab.training.world.scenes import draw_clip
from streaming.errors import BackendUnavailable, NotFound
from streaming.vocabulary import Clock, Frame, StreamId
from tests.up import CACHE


@dataclass
class MemoryCacheBackend:
    """A backend that caches its programs in memory and records what it compiles."""

    cached: dict[tuple[str, str], Program] = field(default_factory=dict)
    compiled: list[str] = field(default_factory=list)
    name: str = "memory"
    caches_programs: bool = True
    compute_precision: Precision = "float32"

    def compile(self, graph: Graph) -> Program:
        self.compiled.append(graph.name)
        program: Program = TorchBackend().compile(graph)
        return self.cached.setdefault((graph.name, graph.fingerprint), program)

    def reopen(self, name: str, fingerprint: str) -> Program | None:
        return self.cached.get((name, fingerprint))


@pytest.fixture(scope="module")
def weights() -> TrackerWeights:
    return TrackerWeights("fresh", initial_tracker(1).eval().requires_grad_(False))


@pytest.fixture
def backend() -> MemoryCacheBackend:
    return MemoryCacheBackend()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_tracker(initial_tracker(1), tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def opened(checkpoint: Path, backend: MemoryCacheBackend) -> CompiledTracker:
    return open_tracker(checkpoint, backend, checkpoint.parent / "notes")


def test_the_second_open_compiles_nothing_and_gives_the_same_programs(
    checkpoint: Path, backend: MemoryCacheBackend
) -> None:
    first, second = opened(checkpoint, backend), opened(checkpoint, backend)
    assert backend.compiled == list(GRAPHS)
    assert (second.name, second.backend, second.shape) == (str(checkpoint), "memory", first.shape)
    assert all(getattr(second, graph) is getattr(first, graph) for graph in GRAPHS)


def test_other_weights_are_compiled_again(checkpoint: Path, backend: MemoryCacheBackend) -> None:
    first = opened(checkpoint, backend)
    save_tracker(initial_tracker(2), checkpoint)
    assert opened(checkpoint, backend).encode is not first.encode
    assert len(backend.compiled) == 2 * len(GRAPHS)


def test_a_missing_program_is_compiled_again(checkpoint: Path, backend: MemoryCacheBackend) -> None:
    opened(checkpoint, backend)
    del backend.cached[next(key for key in backend.cached if key[0] == "track")]
    opened(checkpoint, backend)
    assert len(backend.compiled) == 2 * len(GRAPHS)


@pytest.mark.parametrize("invalid", ["", "[]", "{}", '{"shape": {"side": 1}, "fingerprint": "x"}'])
def test_an_invalid_note_is_written_again(
    checkpoint: Path, backend: MemoryCacheBackend, invalid: str
) -> None:
    opened(checkpoint, backend)
    (note,) = (checkpoint.parent / "notes").iterdir()
    content = note.read_text()
    note.write_text(invalid)
    opened(checkpoint, backend)
    assert note.read_text() == content


@dataclass
class WrongProgram:
    """Computes twice what its program does."""

    program: Program

    def runner(self) -> Runner:
        run = self.program.runner()

        def doubled(*inputs: Array) -> tuple[Array, ...]:
            return tuple(2 * output for output in run(*inputs))

        return doubled


class WrongBackend(MemoryCacheBackend):
    """A backend that computes one graph wrong, without an error."""

    def compile(self, graph: Graph) -> Program:
        program = super().compile(graph)
        return WrongProgram(program) if graph.name == "remember" else program


def test_a_backend_that_computes_a_graph_wrong_is_refused_by_name(checkpoint: Path) -> None:
    with pytest.raises(BackendUnavailable, match=r"computes memory of remember wrong.*100\.0%"):
        opened(checkpoint, WrongBackend())
    assert not (checkpoint.parent / "notes").exists()


def test_without_a_writable_folder_the_tracker_is_compiled(
    checkpoint: Path, backend: MemoryCacheBackend
) -> None:
    (checkpoint.parent / "notes").write_text("in the way of a folder")
    assert opened(checkpoint, backend).backend == "memory"


def test_a_backend_without_a_cache_gets_no_notes(checkpoint: Path) -> None:
    open_tracker(checkpoint, TorchBackend(), checkpoint.parent / "notes")
    assert not (checkpoint.parent / "notes").exists()


def test_a_missing_checkpoint_is_not_opened_from_the_cache(
    checkpoint: Path, backend: MemoryCacheBackend
) -> None:
    opened(checkpoint, backend)
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(NotFound):
        opened(checkpoint, backend)


def test_streams_that_share_a_compiled_tracker_share_no_memory(weights: TrackerWeights) -> None:
    compiled = compile_tracker(weights, TorchBackend())
    clip = draw_clip(5, frames=3)

    def run(tracker: SamTracker, index: int, *, first: bool = False) -> list[object]:
        frame = Frame(StreamId("s"), index, clip.frames[index], 0.0, 0.0, Clock.ARRIVAL)
        tracks = tracker.step(frame, [answer_from_masks(clip.masks[0, :2])] if first else [])
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


def test_compiling_a_model_keeps_its_gradients() -> None:
    model = initial_tracker(1)
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


def test_opening_from_the_cache_imports_no_torch() -> None:
    content = [
        subprocess.run(
            [sys.executable, "-c", OPEN_AND_STEP, str(CACHE)], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert content[1].split() == []
