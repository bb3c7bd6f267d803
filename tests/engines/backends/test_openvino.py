"""OpenVINO gives what torch gives, and keeps what it converted."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.backends.graph import Calibration, PrecisionChoice, Program
from engines.backends.openvino import RECENT_S, OpenVinoBackend, OpenVinoProgram, OpenVinoRunner
from engines.backends.torch_backend import TorchBackend
from engines.geometry import mask_iou
from engines.tracking import memory_attention
from engines.tracking.checkpoints import load_tracker_weights
from engines.tracking.compilation import tracker_graphs
from engines.tracking.graph_set import tracker_shape
from engines.tracking.memory_bank import Memory, MemoryBank
from lab.training.world.holdout import HELD_OUT_SEED
from lab.training.world.scenes import draw_clip
from tests.nano_cases import largest_errors, nano_cases
from tests.toy_graph import toy_graph, toy_inputs


@pytest.fixture(scope="module")
def toy() -> Program:
    return OpenVinoBackend(precision="float32").compile(toy_graph())


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_any_number_of_rows_comes_out_as_in_torch(toy: Program, rows: int) -> None:
    expected = TorchBackend().compile(toy_graph()).runner()(*toy_inputs(rows))
    for ours, theirs in zip(toy.runner()(*toy_inputs(rows)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_it_says_what_it_multiplies_in() -> None:
    assert OpenVinoBackend(precision="float32").computes_in == "float32"
    assert OpenVinoBackend(precision="bfloat16").computes_in == "bfloat16"
    assert OpenVinoBackend(precision="int8").computes_in == "int8"
    assert OpenVinoBackend().computes_in in ("float32", "bfloat16")


def test_runners_of_one_program_do_not_disturb_each_other(toy: Program) -> None:
    first, second = toy.runner(), toy.runner()
    kept = first(*toy_inputs(2, seed=1))
    before = [array.copy() for array in kept]
    second(*toy_inputs(2, seed=2))
    assert all(np.array_equal(one, other) for one, other in zip(kept, before, strict=True))


def test_threads_may_run_one_program_at_the_same_time() -> None:
    program = OpenVinoBackend(precision="float32", parallel=2).compile(toy_graph())

    def run(seed: int) -> bool:
        runner, inputs = program.runner(), toy_inputs(3, seed)
        expected = [array.copy() for array in runner(*inputs)]
        return all(
            np.array_equal(a, b) for _ in range(50) for a, b in zip(runner(*inputs), expected, strict=True)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(8)))


def test_where_more_runners_are_at_work_than_fit_each_takes_one_thread_and_gives_the_same() -> None:
    program = OpenVinoBackend(threads=2, precision="float32").compile(toy_graph())
    now_s = 0.0
    program._clock = lambda: now_s
    first, second = program.runner(), program.runner()
    expected = [array.copy() for array in TorchBackend().compile(toy_graph()).runner()(*toy_inputs(3))]
    now_s = 5.0
    wide = [array.copy() for array in first(*toy_inputs(3))]
    assert threads_of(first) == (2, 1), "the other has not been called for long"
    for runner in (second, first):
        narrow = runner(*toy_inputs(3))
        assert threads_of(runner) == (2, 2)
        assert all(np.array_equal(*pair) for pair in zip(narrow, wide, strict=True))
        assert all(np.allclose(*pair, atol=1e-5) for pair in zip(narrow, expected, strict=True))
    now_s += RECENT_S
    first(*toy_inputs(3))
    assert threads_of(first) == (2, 1)


@pytest.mark.parametrize(
    ("threads", "parallel", "ways"),
    [
        pytest.param(2, 1, [(2, 1), (2, 2), (2, 2)], id="two threads of two processors"),
        pytest.param(1, 2, [(1, 1), (2, 2), (2, 2)], id="one thread of two"),
    ],
)
def test_calls_of_one_runner_stay_in_one_stream_and_more_runners_have_as_many_as_fit(
    threads: int, parallel: int, ways: list[tuple[int, int]]
) -> None:
    program = OpenVinoBackend(threads, parallel, precision="float32").compile(toy_graph())
    program._clock = lambda: 0.0
    runners, found = [], []
    for _ in ways:
        runners.append(program.runner())
        runners[0](*toy_inputs(3))
        found.append(threads_of(runners[0]))
    assert found == ways


def test_while_a_model_for_more_is_compiled_calls_go_to_that_for_the_most_so_far() -> None:
    made, meanwhile = [], []

    def compiled(threads: int, calls: int) -> str:
        made.append((threads, calls))
        if calls == 4:
            meanwhile.append(program.model_for(0))
        return f"{threads} threads, {calls} calls"

    program = OpenVinoProgram(compiled, threads=2, parallel=2, clock=lambda: 0.0)
    found = [program.model_for(number) for number in range(3)]
    assert made == [(2, 1), (2, 2), (1, 4)]
    assert found == ["2 threads, 1 calls", "2 threads, 2 calls", "1 threads, 4 calls"]
    assert meanwhile == ["2 threads, 2 calls"]


def test_arrays_that_cannot_be_shared_are_copied(toy: Program) -> None:
    expected = [array.copy() for array in toy.runner()(*toy_inputs(3))]
    turned = [np.asfortranarray(array) for array in toy_inputs(3)]
    assert not all(array.flags.c_contiguous for array in turned)
    for array in turned:
        array.setflags(write=False)
    assert all(np.array_equal(*pair) for pair in zip(toy.runner()(*turned), expected, strict=True))


def test_where_the_second_model_cannot_be_compiled_runners_go_on_as_they_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = OpenVinoBackend(threads=2, precision="float32", cache_dir=tmp_path).compile(toy_graph())
    first = program.runner()
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.unlink()
    second = program.runner()
    assert "fewer calls at a time" in caplog.text
    for runner in (first, second):
        assert len(runner(*toy_inputs(3))) > 0
        assert threads_of(runner) == (2, 1)


def threads_of(runner: OpenVinoRunner) -> tuple[int, int]:
    """Threads in all of the model it called last, and calls that share them."""
    names = ("INFERENCE_NUM_THREADS", "NUM_STREAMS")
    threads, calls = (int(runner._model.get_property(name)) for name in names)
    return threads, calls


SIGNALLED = """
import signal, threading
from engines.backends.openvino import OpenVinoBackend
from tests.toy_graph import toy_graph

programs = [OpenVinoBackend().compile(toy_graph())]
ending = threading.Thread(target=programs.clear)
ending.start()
ending.join()
signal.signal(signal.SIGUSR1, lambda *_: print("taken"))
signal.raise_signal(signal.SIGUSR1)
"""


def test_signals_come_after_a_program_ended_in_another_thread() -> None:
    """Whoever presses Ctrl-C then still ends a service in order."""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", SIGNALLED], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "taken\n")


def test_a_graph_is_exported_and_compiled_once(tmp_path: Path) -> None:
    backend = OpenVinoBackend(precision="float32", cache_dir=tmp_path)
    first = [array.copy() for array in backend.compile(toy_graph()).runner()(*toy_inputs(2))]
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.suffix for path in made} == {".onnx", ".blob"}
    again = backend.compile(toy_graph()).runner()(*toy_inputs(2))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == made
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_what_was_kept_is_reopened_by_its_name_and_fingerprint(tmp_path: Path) -> None:
    backend = OpenVinoBackend(precision="float32", cache_dir=tmp_path)
    assert backend.reopen("toy", "toy-1") is None
    first = backend.compile(toy_graph("toy-1")).runner()(*toy_inputs(2))
    again = backend.reopen("toy", "toy-1")
    assert again is not None
    for ours, theirs in zip(again.runner()(*toy_inputs(2)), first, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert backend.reopen("toy", "toy-2") is None
    assert OpenVinoBackend().reopen("toy", "toy-1") is None


@pytest.mark.parametrize("suffix", [".onnx", ".blob"])
@pytest.mark.parametrize("damage", ["empty", "half", "gone"])
def test_what_was_kept_and_is_damaged_is_made_anew(suffix: str, damage: str, tmp_path: Path) -> None:
    backend = OpenVinoBackend(precision="float32", cache_dir=tmp_path)
    first = [array.copy() for array in backend.compile(toy_graph()).runner()(*toy_inputs(2))]
    (kept,) = tmp_path.rglob(f"*{suffix}")
    whole = kept.read_bytes()
    kept.unlink() if damage == "gone" else kept.write_bytes(
        whole[: len(whole) // 2 if damage == "half" else 0]
    )
    again = backend.compile(toy_graph()).runner()(*toy_inputs(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert backend.reopen("toy", "toy-1") is not None


def test_where_nothing_can_be_kept_it_compiles_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    program = OpenVinoBackend(cache_dir=tmp_path / "file" / "cache").compile(toy_graph())
    assert len(program.runner()(*toy_inputs(1))) > 0


def test_every_graph_of_nano_gives_what_torch_gives(exports: Path) -> None:
    backend = OpenVinoBackend(precision="float32", cache_dir=exports)
    for case in nano_cases():
        errors = largest_errors(case, backend.compile(case.graph).runner()(*case.inputs))
        assert max(errors.values()) < 1e-4, f"{case.graph.name}: {errors}"


@pytest.mark.parametrize(("precision", "error"), [("float32", 1e-4), ("bfloat16", 0.03)])
def test_memories_read_one_by_one_give_what_they_give_at_once(
    precision: PrecisionChoice, error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at 1024 px; nothing kept, since the graph's fingerprint does not know how they are read."""
    (track,) = [case for case in nano_cases() if case.graph.name == "track"]
    monkeypatch.setattr(memory_attention, "MOST_AT_ONCE", 0)
    outputs = OpenVinoBackend(precision=precision).compile(track.graph).runner()(*track.inputs)
    assert max(largest_errors(track, outputs).values()) < error


def test_a_graph_that_makes_no_use_of_an_input_takes_it_all_the_same() -> None:
    """Nothing kept: OpenVINO drops such inputs of a model that it reads from memory."""
    (prompt,) = [case for case in nano_cases() if case.graph.name == "prompt"]
    outputs = OpenVinoBackend(precision="float32").compile(prompt.graph).runner()(*prompt.inputs)
    assert max(largest_errors(prompt, outputs).values()) < 1e-4


def test_what_is_kept_in_int8_is_another_program(tmp_path: Path) -> None:
    exact, rounded = (OpenVinoBackend(precision=one, cache_dir=tmp_path) for one in ("float32", "int8"))
    shown = [toy_inputs(4, seed) for seed in range(20)]
    graph = replace(toy_graph(), calibration=Calibration(lambda: shown, ()))
    exact.compile(graph)
    assert rounded.reopen("toy", "toy-1") is None
    rounded.compile(graph)
    again, expected = rounded.reopen("toy", "toy-1"), exact.compile(graph).runner()(*shown[0])
    assert again is not None
    for ours, theirs in zip(again.runner()(*shown[0]), expected, strict=True):
        assert 0 < np.abs(ours - theirs).max() < 0.1 * np.abs(theirs).max()


@pytest.mark.parametrize(("precision", "agreement"), [("float32", 0.9999), ("auto", 0.98), ("int8", 0.97)])
def test_with_trained_weights_it_draws_the_same_masks_as_torch(
    precision: PrecisionChoice, agreement: float, exports: Path
) -> None:
    """Trained ones: OpenVINO once computed Hiera's fused attention right with random weights only."""
    weights = load_tracker_weights("nano")
    shape = tracker_shape(weights)
    graphs = tracker_graphs(weights)
    clip = draw_clip(HELD_OUT_SEED + 7, frames=3, stride=3)
    masks = []
    for backend in (TorchBackend(), OpenVinoBackend(precision=precision, cache_dir=exports)):
        run = {graph.name: backend.compile(graph).runner() for graph in graphs}
        encode, prompt, track, remember = (run[name] for name in ("encode", "prompt", "track", "remember"))
        levels = tuple(level.copy() for level in encode(clip.frames[:1]))
        pointer, memory = prompt(*levels, clip.masks[0].astype(np.float32))
        bank = MemoryBank(shape, len(clip.things))
        for row in range(len(clip.things)):
            bank.give(bank.add(), Memory(memory[row], pointer[row]), age=0)
        drawn = []
        for frame in clip.frames[1:]:
            seen = encode(frame[None])
            logits, _, score, pointer = track(*seen, *bank.batch())
            (memory,) = remember(seen[0], logits, score, np.zeros(bank.rows, np.bool_))
            drawn.append(logits > 0)
            bank.remember(memory, pointer, np.ones(bank.rows, np.bool_))
        masks.append(np.concatenate(drawn))
    assert masks[0].any()
    overlaps = [mask_iou(ours, theirs) for theirs, ours in zip(*masks, strict=True) if theirs.sum() > 20]
    assert np.mean(overlaps) >= agreement
