"""`saccade bench tracker`: Saccade's tracker against baselines, same weights, frames and threads, in one run.

All candidates track the same objects from the same masks. On every frame they run one after another, in
reversed order on every second frame, so that other load on the machine affects all alike. The warm-up, as
many frames as fill the memories, is not timed: baselines attend to fewer memories in it, and kernels are
compiled. Baselines run in float32 and in bfloat16: times are compared with the faster, masks with float32's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch

from engines.backends.choose import choose_backend
from engines.backends.graph import Precision, PrecisionChoice
from engines.geometry import mask_iou
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compilation import compile_tracker
from engines.tracking.families import family_name
from engines.tracking.memory_policy import AS_SAM2, PRODUCT, TrackerPolicy
from lab.benchmarks.baselines import Sam2Baseline, TransformersBaseline, require_baseline
from lab.benchmarks.candidates import PARTS, Candidate, SaccadeCandidate
from lab.benchmarks.roofline import frame_flops, peak_flops
from lab.benchmarks.timing import Stopwatch, clock_for
from lab.benchmarks.tracker_clip import BenchClip, bench_clip
from lab.fixtures.random_sam2 import bench_weights
from streaming.vocabulary import Mask

OTHER: Final = "other"
"The part of a frame outside of PARTS."


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """Options of `bench_tracker`."""

    model: str = "nano"
    "`nano`, a checkpoint, or one of `families.FAMILY_NAMES`: random weights."
    side_px: int | None = None
    objects: Sequence[int] = (1, 3)
    backends: Sequence[str] = ("auto",)
    precision: PrecisionChoice = "auto"
    "Of Saccade's tracker."
    against: Sequence[str] = ("transformers",)
    "Of baselines.BASELINES."
    frames: int = 40
    threads: int = 1
    cache_dir: Path | None = None
    "Compile cache of Saccade's graphs; None compiles without one."


@dataclass(frozen=True, slots=True)
class BenchRow:
    """Figures of a candidate with a number of objects. Times are medians over frames."""

    engine: str
    "A backend of Saccade, or a baseline."
    precision: str
    objects: int
    frame_ms: float
    fps: float
    parts_ms: dict[str, float]
    "By PARTS and OTHER; medians, which need not sum up to `frame_ms`."
    times_as_fast: dict[str, float]
    "By baseline, in its faster precision."
    seen: float
    "Share of masks present, over all objects and frames."
    mask_iou: dict[str, float]
    "By baseline: mean IoU with its float32 masks, at source size."
    held_bytes: int
    "Stored for the stream after the last frame."
    grown_bytes: int
    "Growth of it per frame."
    peak_share: float
    "Share of the roofline: FLOPs per second over the device's peak in its faster precision."


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What `bench_tracker` measured."""

    model: str
    side_px: int
    frames: int
    threads: int
    device: str
    peak_tflops: float
    rows: tuple[BenchRow, ...]


def bench_tracker(options: BenchOptions) -> BenchReport:
    """Time all candidates with each number of objects.

    Raises NotFound, CheckpointError, InvalidSettings, BackendUnavailable.
    """
    weights = bench_weights(options.model, options.side_px)
    for baseline in options.against:
        require_baseline(baseline, weights)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Before the threads are set: compiling sets them too.
    candidates = [*_saccade(weights, options), *_baselines(weights, options.against, device)]
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    peak = max(peak_flops(device, dtype) for dtype in (torch.float32, torch.bfloat16))
    warm_up = int(weights.model.config.num_maskmem) - 1
    rows = []
    for count in options.objects:
        clip = bench_clip(count, 1 + warm_up + options.frames)
        laps = _run_all(candidates, clip, warm_up, device)
        rows += _rows(laps, count, frame_flops(weights, count) / peak)
    return BenchReport(
        model=weights.name,
        side_px=weights.side_px,
        frames=options.frames,
        threads=options.threads,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        peak_tflops=round(peak / 1e12, 3),
        rows=tuple(rows),
    )


def _saccade(weights: TrackerWeights, options: BenchOptions) -> list[SaccadeCandidate]:
    candidates = []
    for name in options.backends:
        backend = choose_backend(
            name,
            threads=options.threads,
            capacity=max(options.objects),
            precision=options.precision,
            cache_dir=options.cache_dir,
        )
        policy = _policy(weights)
        candidates.append(
            SaccadeCandidate(compile_tracker(weights, backend), backend.compute_precision, policy)
        )
    return candidates


def _policy(weights: TrackerWeights) -> TrackerPolicy:
    """Return the baselines' memory policy: every frame is remembered, whatever it shows."""
    if family_name(weights.model.config) is None:  # nano, taught with given masks as they are
        return replace(PRODUCT, memory_temporal_stride=1, min_memory_iou=0.0, min_visible_iou=0.0)
    return replace(AS_SAM2, cond_masks_as_decoded=False)


def _baselines(weights: TrackerWeights, names: Sequence[str], device: torch.device) -> list[Candidate]:
    kinds: dict[str, Callable[..., Candidate]] = {"transformers": TransformersBaseline, "sam2": Sam2Baseline}
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    return [kinds[name](weights, precision, device) for name in names for precision in precisions]


@dataclass(frozen=True, slots=True, eq=False)
class _Laps:
    """A candidate's times, masks and sizes, frame by frame."""

    candidate: Candidate
    parts_s: list[dict[str, float]]
    "By PARTS, and the whole frame under `_WHOLE`."
    masks: list[list[Mask | None]]
    held_bytes: list[int]


_WHOLE: Final = ""


def _run_all(
    candidates: Sequence[Candidate], clip: BenchClip, warm_up: int, device: torch.device
) -> list[_Laps]:
    watches = [Stopwatch(clock_for(device)) for _ in candidates]
    runs = [each.start(clip, watch) for each, watch in zip(candidates, watches, strict=True)]
    laps = [_Laps(candidate, [], [], []) for candidate in candidates]
    for index in range(1, len(clip.frames)):
        order = range(len(runs)) if index % 2 else reversed(range(len(runs)))
        for number in order:
            run, watch = runs[number], watches[number]
            watch.lap()
            output = watch.run(_WHOLE, partial(run.step, index))
            if index > warm_up:
                laps[number].parts_s.append(watch.lap())
                laps[number].masks.append(run.masks(output))
                laps[number].held_bytes.append(run.held_bytes())
    return laps


def _rows(laps: Sequence[_Laps], objects: int, least_s: float) -> list[BenchRow]:
    """Return the figures; least_s: time of a frame's FLOPs at the device's peak."""
    frames_s = [float(np.median([parts[_WHOLE] for parts in each.parts_s])) for each in laps]
    names = [each.candidate.name for each in laps if not isinstance(each.candidate, SaccadeCandidate)]
    baselines = list(dict.fromkeys(names))
    fastest_s = {
        name: min(s for each, s in zip(laps, frames_s, strict=True) if each.candidate.name == name)
        for name in baselines
    }
    exact = {each.candidate.name: each for each in laps if each.candidate.precision == "float32"}
    rows = []
    for each, frame_s in zip(laps, frames_s, strict=True):
        held = each.held_bytes
        rows.append(
            BenchRow(
                engine=each.candidate.name,
                precision=each.candidate.precision,
                objects=objects,
                frame_ms=round(1e3 * frame_s, 2),
                fps=round(1 / frame_s, 2),
                parts_ms=_parts_ms(each.parts_s),
                times_as_fast={name: round(s / frame_s, 2) for name, s in fastest_s.items()},
                seen=_visible_share(each.masks),
                mask_iou={name: _mean_iou(each.masks, exact[name].masks) for name in baselines},
                held_bytes=held[-1],
                grown_bytes=(held[-1] - held[0]) // max(1, len(held) - 1),
                peak_share=round(least_s / frame_s, 4),
            )
        )
    return rows


def _parts_ms(laps: Sequence[dict[str, float]]) -> dict[str, float]:
    times_s = {part: [lap.get(part, 0.0) for lap in laps] for part in PARTS}
    times_s[OTHER] = [2 * lap[_WHOLE] - sum(lap.values()) for lap in laps]
    return {part: round(1e3 * float(np.median(values)), 3) for part, values in times_s.items()}


def _visible_share(frames: Sequence[list[Mask | None]]) -> float:
    return round(float(np.mean([mask is not None for masks in frames for mask in masks])), 4)


def _mean_iou(a: Sequence[list[Mask | None]], b: Sequence[list[Mask | None]]) -> float:
    pairs = [pair for frames in zip(a, b, strict=True) for pair in zip(*frames, strict=True)]
    return round(float(np.mean([_iou(*pair) for pair in pairs])), 4)


def _iou(a: Mask | None, b: Mask | None) -> float:
    if a is None or b is None:
        return float(a is b)
    return mask_iou(a, b)
