"""The soak: what it reads from samples, when it stops, what it hears of trouble.

That every engine has a process of its own is seen in `tests/actors/commands/test_soak.py`.
"""

from __future__ import annotations

import mmap
import multiprocessing
from pathlib import Path

import pytest

from lab.benchmarks.soak import SAMPLES, Sample, SoakPlan, _follow, judge, watch
from streaming.errors import NotFound

MIB = 2**20
PLAN = SoakPlan(1000, objects=1, model="nano", threads=1, most_growth_bytes=8 * MIB)


class Hoarder:
    """Keeps some bytes of every frame: pages of its own, so that none that was free already is taken."""

    def __init__(self, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes
        self._kept: list[mmap.mmap] = []

    def step(self, index: int) -> None:
        if self._frame_bytes:
            self._kept.append(mmap.mmap(-1, self._frame_bytes))
            self._kept[-1].write(bytes(self._frame_bytes))

    def held_bytes(self) -> int:
        return len(self._kept) * self._frame_bytes


def sample(frames: int, resident_bytes: int) -> Sample:
    return Sample(frames, resident_bytes, None, frames * 0.02)


def test_the_slope_is_that_of_the_frames_after_the_first_five_hundred() -> None:
    filling = [sample(frames, frames * 9000) for frames in range(100, 500, 100)]
    after = [sample(frames, 10 * MIB + 7 * frames) for frames in range(500, 1001, 100)]
    run = judge("torch", PLAN, filling + after)
    assert run.bytes_per_frame == pytest.approx(7, abs=1e-3)
    assert run.noise_bytes == pytest.approx(0, abs=1)
    assert (run.frame_ms, run.stopped) == (pytest.approx(20), False)


def test_noise_is_what_the_line_leaves() -> None:
    wobbly = [sample(frames, 10 * MIB + 4096 * (frames // 100 % 2)) for frames in range(100, 1001, 100)]
    run = judge("torch", PLAN, wobbly)
    assert run.noise_bytes == pytest.approx(2048, rel=0.1)
    assert abs(run.bytes_per_frame) * 500 < 2 * run.noise_bytes


def test_whoever_hoards_is_seen_and_stopped() -> None:
    seen = list(watch(Hoarder(MIB), PLAN))
    assert seen[-1].frames < 20, "8 MiB are allowed"
    assert [one.held_bytes for one in seen] == [one.frames * MIB for one in seen]
    run = judge("hoarder", PLAN, seen)
    assert run.stopped and run.bytes_per_frame == pytest.approx(MIB, rel=0.1)


def test_who_keeps_nothing_goes_to_the_end_and_is_looked_at_every_so_often() -> None:
    seen = list(watch(Hoarder(0), PLAN))
    assert [one.frames for one in seen] == list(range(1000 // SAMPLES, 1001, 1000 // SAMPLES))


def test_what_goes_wrong_where_an_engine_lives_is_told_to_who_waits(tmp_path: Path) -> None:
    here, there = multiprocessing.Pipe(duplex=False)
    with here, there:
        _follow("torch", SoakPlan(20, 1, str(tmp_path / "none"), 1, MIB), there)
        said = here.recv()
    assert isinstance(said, NotFound) and "none" in str(said)
