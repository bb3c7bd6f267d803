"""What an endless stream costs in memory: ours beside transformers' own session.

Each engine follows the same endless film in a process of its own, so that the memory resident there is its
alone; it is looked at every so often. Linux.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from streaming.errors import SaccadeError

THEIRS: Final = "transformers"
"Every other engine is a backend of ours."
SETTLED: Final = 500
"Frames after which caches are filled; the first half of a shorter run."
SAMPLES: Final = 200
"At most about so many of a run."
_STATM: Final = Path("/proc/self/statm")


class Follower(Protocol):
    """What follows things through an endless film."""

    def step(self, index: int) -> None:
        """Follow them to picture `index`, the next one."""
        ...

    def held_bytes(self) -> int | None:
        """What it says it keeps of the stream; None where it does not say."""
        ...


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """What every engine does."""

    frames: int
    objects: int
    "1 to 3"
    model: str
    "As `checkpoints.load_tracker_weights` takes it."
    threads: int
    most_growth_bytes: int
    "An engine whose memory has grown by more is stopped."


@dataclass(frozen=True, slots=True)
class Sample:
    """A look at an engine's process."""

    frames: int
    "Followed until now."
    resident_bytes: int
    held_bytes: int | None
    "See `Follower.held_bytes`."
    elapsed_s: float
    "Since the first frame began."


@dataclass(frozen=True, slots=True)
class SoakRun:
    """What was seen of one engine."""

    engine: str
    samples: tuple[Sample, ...]
    "At least two."
    stopped: bool
    "Whether it grew by more than was allowed, before the last frame."
    bytes_per_frame: float
    "Slope of the line through the samples after `SETTLED` frames."
    noise_bytes: float
    "Standard deviation of those samples from that line."
    frame_ms: float


@dataclass(frozen=True, slots=True)
class SoakReport:
    """Every engine's run of one plan."""

    plan: SoakPlan
    runs: tuple[SoakRun, ...]


def run_apart(engine: str, plan: SoakPlan, tell: Callable[[Sample], None]) -> SoakRun:
    """Let an engine follow the film in a process of its own; `tell` hears of every sample.

    Raises NotFound, CheckpointError, BackendUnavailable; SaccadeError where the process died.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_follow, args=(engine, plan, there), daemon=True)
    child.start()
    there.close()
    samples = []
    try:
        while (said := here.recv()) is not None:
            if isinstance(said, SaccadeError):
                raise said
            samples.append(said)
            tell(said)
    except EOFError:
        frames = samples[-1].frames if samples else 0
        raise SaccadeError(f"The process of {engine} died after {frames} frames.") from None
    finally:
        child.terminate()
        child.join()
        here.close()
    return judge(engine, plan, samples)


def judge(engine: str, plan: SoakPlan, samples: list[Sample]) -> SoakRun:
    """What samples say of an engine's memory."""
    last = samples[-1]
    settled = [one for one in samples if one.frames >= min(SETTLED, last.frames // 2)]
    frames = np.array([one.frames for one in settled], float)
    resident = np.array([one.resident_bytes for one in settled], float)
    slope, base = np.polyfit(frames, resident, 1)
    return SoakRun(
        engine=engine,
        samples=tuple(samples),
        stopped=last.frames < plan.frames,
        bytes_per_frame=float(slope),
        noise_bytes=float(np.std(resident - slope * frames - base)),
        frame_ms=1e3 * last.elapsed_s / last.frames,
    )


def watch(follower: Follower, plan: SoakPlan) -> Iterator[Sample]:
    """Let it follow in this process."""
    every = max(1, plan.frames // SAMPLES)
    first_bytes, start_s = None, time.perf_counter()
    for index in range(plan.frames):
        follower.step(index)
        done = index + 1
        if done % every and done != plan.frames:
            continue
        sample = Sample(done, _resident_bytes(), follower.held_bytes(), time.perf_counter() - start_s)
        yield sample
        first_bytes = first_bytes or sample.resident_bytes
        if sample.resident_bytes - first_bytes > plan.most_growth_bytes:
            return


def _follow(engine: str, plan: SoakPlan, tell: Connection) -> None:
    """The child's life: samples, and None at the end, or what went wrong."""
    # Only here: who waits for it needs no torch.
    from lab.benchmarks.endless_clip import choose_follower

    try:
        follower = choose_follower(engine, plan.model, plan.objects, plan.threads)
        for sample in watch(follower, plan):
            tell.send(sample)
        tell.send(None)
    except SaccadeError as exc:
        tell.send(exc)


def _resident_bytes() -> int:
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
