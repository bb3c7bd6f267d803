"""Memory samples of an engine, the line through them, the limit, errors of the child process.

tests/lab/cli/test_soak.py runs an engine in its own process.
"""

from __future__ import annotations

import mmap
import multiprocessing
from pathlib import Path

import pytest

from lab.benchmarks.soak import SAMPLES, Sample, SoakPlan, _run_engine, sample_memory, summarise
from streaming.errors import NotFound

MIB = 2**20
PLAN = SoakPlan(1000, objects=1, model="nano", threads=1, most_growth_bytes=8 * MIB)


class LeakingRun:
    """Allocates new pages on every frame, so that no free page of the process is reused."""

    def __init__(self, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes
        self._pages: list[mmap.mmap] = []

    def step(self, index: int) -> None:
        if self._frame_bytes:
            self._pages.append(mmap.mmap(-1, self._frame_bytes))
            self._pages[-1].write(bytes(self._frame_bytes))

    def held_bytes(self) -> int:
        return len(self._pages) * self._frame_bytes


def sample(frames: int, resident_bytes: int) -> Sample:
    return Sample(frames, resident_bytes, None, frames * 0.02)


def test_the_slope_leaves_out_the_first_500_frames() -> None:
    filling = [sample(frames, frames * 9000) for frames in range(100, 500, 100)]
    after = [sample(frames, 10 * MIB + 7 * frames) for frames in range(500, 1001, 100)]
    run = summarise("torch", PLAN, filling + after)
    assert run.bytes_per_frame == pytest.approx(7, abs=1e-3)
    assert run.noise_bytes == pytest.approx(0, abs=1)
    assert (run.frame_ms, run.stopped) == (pytest.approx(20), False)


def test_noise_is_the_deviation_from_the_line() -> None:
    wobbly = [sample(frames, 10 * MIB + 4096 * (frames // 100 % 2)) for frames in range(100, 1001, 100)]
    run = summarise("torch", PLAN, wobbly)
    assert run.noise_bytes == pytest.approx(2048, rel=0.1)
    assert abs(run.bytes_per_frame) * 500 < 2 * run.noise_bytes


def test_a_run_that_grows_beyond_the_limit_is_stopped() -> None:
    seen = list(sample_memory(LeakingRun(MIB), PLAN))
    assert seen[-1].frames < 20, "the limit is 8 MiB"
    assert [entry.held_bytes for entry in seen] == [entry.frames * MIB for entry in seen]
    run = summarise("leaking", PLAN, seen)
    assert run.stopped and run.bytes_per_frame == pytest.approx(MIB, rel=0.1)


def test_a_flat_run_is_sampled_evenly_to_its_last_frame() -> None:
    seen = list(sample_memory(LeakingRun(0), PLAN))
    assert [entry.frames for entry in seen] == list(range(1000 // SAMPLES, 1001, 1000 // SAMPLES))


def test_an_error_in_the_child_process_is_sent_to_the_parent(tmp_path: Path) -> None:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    with receiver, sender:
        _run_engine("torch", SoakPlan(20, 1, str(tmp_path / "none"), 1, MIB), sender)
        error = receiver.recv()
    assert isinstance(error, NotFound) and "none" in str(error)
