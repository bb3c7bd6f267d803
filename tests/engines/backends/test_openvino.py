"""OpenVINO equals torch, shares its models between runners, and caches what it compiles."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.backends.graph import Calibration, PrecisionChoice, Program
from engines.backends.lazy_compilation import compilations_begun
from engines.backends.openvino import ACTIVE_S, OpenVinoBackend, OpenVinoProgram, OpenVinoRunner
from engines.backends.torch_backend import TorchBackend
from engines.geometry import mask_iou
from engines.tracking import memory_attention
from engines.tracking.checkpoints import load_tracker_weights
from engines.tracking.compilation import tracker_graphs
from engines.tracking.graph_set import tracker_shape
from engines.tracking.memory_bank import MemoryBank, ObjectMemory
from lab.training.world.holdout import HELD_OUT_SEED
from lab.training.world.scenes import draw_clip
from tests.nano_cases import largest_errors, nano_cases
from tests.toy_graph import toy_graph, toy_inputs


@pytest.fixture(scope="module")
def toy() -> Program:
    return OpenVinoBackend(precision="float32").compile(toy_graph())


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_every_batch_size_equals_torch(toy: Program, rows: int) -> None:
    expected = TorchBackend().compile(toy_graph()).runner()(*toy_inputs(rows))
    for ours, theirs in zip(toy.runner()(*toy_inputs(rows)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_compute_precision_is_the_chosen_one() -> None:
    assert OpenVinoBackend(precision="float32").compute_precision == "float32"
    assert OpenVinoBackend(precision="bfloat16").compute_precision == "bfloat16"
    assert OpenVinoBackend(precision="int8").compute_precision == "int8"
    assert OpenVinoBackend().compute_precision in ("float32", "bfloat16")


def test_runners_of_one_program_do_not_affect_each_other(toy: Program) -> None:
    first, second = toy.runner(), toy.runner()
    outputs = first(*toy_inputs(2, seed=1))
    before = [array.copy() for array in outputs]
    second(*toy_inputs(2, seed=2))
    assert all(np.array_equal(one, other) for one, other in zip(outputs, before, strict=True))


def test_threads_share_one_program() -> None:
    program = OpenVinoBackend(precision="float32", parallel=2).compile(toy_graph())

    def run(seed: int) -> bool:
        runner, inputs = program.runner(), toy_inputs(3, seed)
        expected = [array.copy() for array in runner(*inputs)]
        return all(
            np.array_equal(a, b) for _ in range(50) for a, b in zip(runner(*inputs), expected, strict=True)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(8)))


def test_with_more_active_runners_than_fit_each_call_has_one_thread_and_equal_outputs() -> None:
    program = OpenVinoBackend(threads=2, precision="float32").compile(toy_graph())
    now_s = 0.0
    program._clock = lambda: now_s
    first, second = program.runner(), program.runner()
    expected = [array.copy() for array in TorchBackend().compile(toy_graph()).runner()(*toy_inputs(3))]
    now_s = 5.0
    wide = [array.copy() for array in first(*toy_inputs(3))]
    assert threads_of(first) == (2, 1), "the other runner is not active"
    for runner in (second, first):
        narrow = runner(*toy_inputs(3))
        assert threads_of(runner) == (2, 2)
        assert all(np.array_equal(*pair) for pair in zip(narrow, wide, strict=True))
        assert all(np.allclose(*pair, atol=1e-5) for pair in zip(narrow, expected, strict=True))
    now_s += ACTIVE_S
    first(*toy_inputs(3))
    assert threads_of(first) == (2, 1)


@pytest.mark.parametrize(
    ("threads", "parallel", "configurations"),
    [
        pytest.param(2, 1, [(2, 1), (2, 2), (2, 2)], id="two threads of two CPUs"),
        pytest.param(1, 2, [(1, 1), (2, 2), (2, 2)], id="one thread of two"),
    ],
)
def test_a_single_runner_has_one_stream_and_more_runners_have_as_many_as_fit(
    threads: int, parallel: int, configurations: list[tuple[int, int]]
) -> None:
    program = OpenVinoBackend(threads, parallel, precision="float32").compile(toy_graph())
    program._clock = lambda: 0.0
    runners, found = [], []
    for _ in configurations:
        runners.append(program.runner())
        runners[0](*toy_inputs(3))
        found.append(threads_of(runners[0]))
    assert found == configurations


def test_calls_during_a_compilation_use_the_model_for_the_most_calls_so_far() -> None:
    made, meanwhile = [], []

    def compiled(threads: int, calls: int) -> str:
        made.append((threads, calls))
        if calls == 4:
            meanwhile.append(program.model_for(0))
        return f"{threads} threads, {calls} calls"

    program = OpenVinoProgram(compiled, threads=2, parallel=2, clock=lambda: 0.0)
    counted = compilations_begun()
    found = [program.model_for(number) for number in range(3)]
    assert compilations_begun() == counted + 2, "a call that compiles is not taken for a hang"
    assert made == [(2, 1), (2, 2), (1, 4)]
    assert found == ["2 threads, 1 calls", "2 threads, 2 calls", "1 threads, 4 calls"]
    assert meanwhile == ["2 threads, 2 calls"]


def test_arrays_that_cannot_be_shared_are_copied(toy: Program) -> None:
    expected = [array.copy() for array in toy.runner()(*toy_inputs(3))]
    transposed = [np.asfortranarray(array) for array in toy_inputs(3)]
    assert not all(array.flags.c_contiguous for array in transposed)
    for array in transposed:
        array.setflags(write=False)
    assert all(np.array_equal(*pair) for pair in zip(toy.runner()(*transposed), expected, strict=True))


def test_runners_keep_their_model_when_a_further_one_cannot_be_compiled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = OpenVinoBackend(threads=2, precision="float32", cache_dir=tmp_path).compile(toy_graph())
    first = program.runner()
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.unlink()
    second = program.runner()
    assert "fewer parallel calls" in caplog.text
    for runner in (first, second):
        assert len(runner(*toy_inputs(3))) > 0
        assert threads_of(runner) == (2, 1)


def threads_of(runner: OpenVinoRunner) -> tuple[int, int]:
    """Return the total threads of the runner's model, and the calls that share them."""
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
signal.signal(signal.SIGUSR1, lambda *_: print("delivered"))
signal.raise_signal(signal.SIGUSR1)
"""


def test_signals_are_delivered_after_a_program_ended_in_another_thread() -> None:
    """Ctrl-C must still shut a service down in order."""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", SIGNALLED], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "delivered\n")


def test_a_graph_is_exported_and_compiled_once(tmp_path: Path) -> None:
    backend = OpenVinoBackend(precision="float32", cache_dir=tmp_path)
    first = [array.copy() for array in backend.compile(toy_graph()).runner()(*toy_inputs(2))]
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.suffix for path in made} == {".onnx", ".blob"}
    again = backend.compile(toy_graph()).runner()(*toy_inputs(2))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == made
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_a_cached_program_is_reopened_by_its_name_and_fingerprint(tmp_path: Path) -> None:
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
def test_a_damaged_or_missing_cache_file_is_made_again(suffix: str, damage: str, tmp_path: Path) -> None:
    backend = OpenVinoBackend(precision="float32", cache_dir=tmp_path)
    first = [array.copy() for array in backend.compile(toy_graph()).runner()(*toy_inputs(2))]
    (file,) = tmp_path.rglob(f"*{suffix}")
    whole = file.read_bytes()
    file.unlink() if damage == "gone" else file.write_bytes(
        whole[: len(whole) // 2 if damage == "half" else 0]
    )
    again = backend.compile(toy_graph()).runner()(*toy_inputs(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert backend.reopen("toy", "toy-1") is not None


def test_without_a_writable_cache_it_compiles(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    program = OpenVinoBackend(cache_dir=tmp_path / "file" / "cache").compile(toy_graph())
    assert len(program.runner()(*toy_inputs(1))) > 0


def test_every_graph_of_nano_equals_torch(exports: Path) -> None:
    backend = OpenVinoBackend(precision="float32", cache_dir=exports)
    for case in nano_cases():
        errors = largest_errors(case, backend.compile(case.graph).runner()(*case.inputs))
        assert max(errors.values()) < 1e-4, f"{case.graph.name}: {errors}"


@pytest.mark.parametrize(("precision", "error"), [("float32", 1e-4), ("bfloat16", 0.03)])
def test_attention_in_parts_equals_attention_to_all_keys(
    precision: PrecisionChoice, error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at 1024 px. Without a cache, since the fingerprint does not cover the patched constant."""
    (track,) = [case for case in nano_cases() if case.graph.name == "track"]
    monkeypatch.setattr(memory_attention, "MAX_KEYS_PER_SOFTMAX", 0)
    outputs = OpenVinoBackend(precision=precision).compile(track.graph).runner()(*track.inputs)
    assert max(largest_errors(track, outputs).values()) < error


def test_a_graph_accepts_its_unused_inputs() -> None:
    """Without a cache: OpenVINO drops such inputs of a model that it reads from memory."""
    (prompt,) = [case for case in nano_cases() if case.graph.name == "prompt"]
    outputs = OpenVinoBackend(precision="float32").compile(prompt.graph).runner()(*prompt.inputs)
    assert max(largest_errors(prompt, outputs).values()) < 1e-4


def test_int8_programs_are_cached_apart_from_float32(tmp_path: Path) -> None:
    float32, int8 = (OpenVinoBackend(precision=one, cache_dir=tmp_path) for one in ("float32", "int8"))
    typical = [toy_inputs(4, seed) for seed in range(20)]
    graph = replace(toy_graph(), calibration=Calibration(lambda: typical, ()))
    float32.compile(graph)
    assert int8.reopen("toy", "toy-1") is None
    int8.compile(graph)
    again, expected = int8.reopen("toy", "toy-1"), float32.compile(graph).runner()(*typical[0])
    assert again is not None
    for ours, theirs in zip(again.runner()(*typical[0]), expected, strict=True):
        difference = np.abs(ours - theirs).max()
        assert 0 < difference < 0.1 * np.abs(theirs).max()


@pytest.mark.timeout(400)  # NNCF takes a minute on a quiet machine
@pytest.mark.parametrize(("precision", "agreement"), [("float32", 0.9999), ("auto", 0.98), ("int8", 0.97)])
def test_with_trained_weights_its_masks_equal_torchs(
    precision: PrecisionChoice, agreement: float, exports: Path
) -> None:
    """OpenVINO once computed Hiera's fused attention right with random weights only."""
    weights = load_tracker_weights("nano")
    shape = tracker_shape(weights)
    graphs = tracker_graphs(weights)
    clip = draw_clip(HELD_OUT_SEED + 7, frames=3, stride=3)
    masks = []
    for backend in (TorchBackend(), OpenVinoBackend(precision=precision, cache_dir=exports)):
        run = {graph.name: backend.compile(graph).runner() for graph in graphs}
        encode, prompt, track, remember = (run[name] for name in ("encode", "prompt", "track", "remember"))
        levels = tuple(level.copy() for level in encode(clip.frames[:1]))
        obj_ptr, memory = prompt(*levels, clip.masks[0].astype(np.float32))
        bank = MemoryBank(shape, len(clip.labels))
        for row in range(len(clip.labels)):
            bank.write_cond(bank.add(), ObjectMemory(memory[row], obj_ptr[row]), age=0)
        tracked = []
        for frame in clip.frames[1:]:
            features = encode(frame[None])
            logits, _, score, obj_ptr = track(*features, *bank.batch())
            (memory,) = remember(features[0], logits, score, np.zeros(bank.rows, np.bool_))
            tracked.append(logits > 0)
            bank.write_recent(memory, obj_ptr, np.ones(bank.rows, np.bool_))
        masks.append(np.concatenate(tracked))
    assert masks[0].any()
    overlaps = [mask_iou(ours, theirs) for theirs, ours in zip(*masks, strict=True) if theirs.sum() > 20]
    assert np.mean(overlaps) >= agreement
