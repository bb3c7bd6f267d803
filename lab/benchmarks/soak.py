"""`saccade bench soak`: memory on an endless stream, of Saccade's tracker and of transformers' session.

Each engine tracks the same endless clip in its own process, so that the process' resident memory is the
engine's alone. Linux only.
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

TRANSFORMERS: Final = "transformers"
"The baseline; every other engine's name is a backend of Saccade's tracker."
WARM_UP_FRAMES: Final = 500
"Frames after which caches are filled; of a shorter run the first half."
SAMPLES: Final = 200
"Approximate number of samples of a run."
_STATM: Final = Path("/proc/self/statm")


class EngineRun(Protocol):
    """A tracker on the endless clip."""

    def step(self, index: int) -> None:
        """Track frame `index`, the next one."""
        ...

    def held_bytes(self) -> int | None:
        """Return the size of what it stores for the stream; None where it does not report one."""
        ...


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """The same for every engine."""

    frames: int
    objects: int
    "1 to 3"
    model: str
    "For `checkpoints.load_tracker_weights`."
    threads: int
    most_growth_bytes: int
    "An engine whose resident memory grows by more is stopped."


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory of an engine's process at a time."""

    frames: int
    "Tracked so far."
    resident_bytes: int
    held_bytes: int | None
    "See `EngineRun.held_bytes`."
    elapsed_s: float
    "Since the start of the first frame."


@dataclass(frozen=True, slots=True)
class SoakRun:
    """Figures of an engine."""

    engine: str
    samples: tuple[Sample, ...]
    "At least two."
    stopped: bool
    "Whether it grew by more than the limit before the last frame."
    bytes_per_frame: float
    "Slope of the regression line through the samples after the warm-up."
    noise_bytes: float
    "Standard deviation of those samples from the line."
    frame_ms: float


@dataclass(frozen=True, slots=True)
class SoakReport:
    """All engines' runs of a plan."""

    plan: SoakPlan
    runs: tuple[SoakRun, ...]


def run_in_process(engine: str, plan: SoakPlan, on_sample: Callable[[Sample], None]) -> SoakRun:
    """Run an engine in a new process; `on_sample` is called with every sample.

    Raises NotFound, CheckpointError, BackendUnavailable; SaccadeError where the process died.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_run_engine, args=(engine, plan, sender), daemon=True)
    child.start()
    sender.close()
    samples = []
    try:
        while (message := receiver.recv()) is not None:
            if isinstance(message, SaccadeError):
                raise message
            samples.append(message)
            on_sample(message)
    except EOFError:
        frames = samples[-1].frames if samples else 0
        raise SaccadeError(f"The process of {engine} died after {frames} frames.") from None
    finally:
        child.terminate()
        child.join()
        receiver.close()
    return summarise(engine, plan, samples)


def summarise(engine: str, plan: SoakPlan, samples: list[Sample]) -> SoakRun:
    """Fit a line to an engine's resident memory after the warm-up."""
    last = samples[-1]
    warm = [sample for sample in samples if sample.frames >= min(WARM_UP_FRAMES, last.frames // 2)]
    frames = np.array([sample.frames for sample in warm], float)
    resident = np.array([sample.resident_bytes for sample in warm], float)
    slope, base = np.polyfit(frames, resident, 1)
    return SoakRun(
        engine=engine,
        samples=tuple(samples),
        stopped=last.frames < plan.frames,
        bytes_per_frame=float(slope),
        noise_bytes=float(np.std(resident - slope * frames - base)),
        frame_ms=1e3 * last.elapsed_s / last.frames,
    )


def sample_memory(run: EngineRun, plan: SoakPlan) -> Iterator[Sample]:
    """Track the clip in this process; yield samples, and stop where memory grows by more than the limit."""
    every = max(1, plan.frames // SAMPLES)
    first_bytes, start_s = None, time.perf_counter()
    for index in range(plan.frames):
        run.step(index)
        done = index + 1
        if done % every and done != plan.frames:
            continue
        sample = Sample(done, _resident_bytes(), run.held_bytes(), time.perf_counter() - start_s)
        yield sample
        first_bytes = first_bytes or sample.resident_bytes
        if sample.resident_bytes - first_bytes > plan.most_growth_bytes:
            return


def _run_engine(engine: str, plan: SoakPlan, sender: Connection) -> None:
    """Send samples and finally None, or a SaccadeError. Runs in the child process."""
    try:
        for sample in sample_memory(_start_engine(engine, plan), plan):
            sender.send(sample)
        sender.send(None)
    except SaccadeError as exc:
        sender.send(exc)


def _start_engine(engine: str, plan: SoakPlan) -> EngineRun:
    """Raises NotFound, CheckpointError, BackendUnavailable."""
    # Here, since the parent process does not need torch, whose import takes seconds.
    import torch

    from engines.backends.choose import choose_backend
    from engines.tracking.checkpoints import load_tracker_weights
    from engines.tracking.compilation import compile_tracker
    from lab.benchmarks.endless_clip import SaccadeRun, TransformersRun, draw_endless_clip

    torch.set_num_threads(plan.threads)
    weights, clip = load_tracker_weights(plan.model), draw_endless_clip(plan.objects)
    if engine == TRANSFORMERS:
        return TransformersRun(weights, clip, plan.objects)
    backend = choose_backend(engine, threads=plan.threads, capacity=plan.objects)
    return SaccadeRun(compile_tracker(weights, backend), clip, plan.objects)


def _resident_bytes() -> int:
    """Return this process' resident memory (proc(5), /proc/pid/statm)."""
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
