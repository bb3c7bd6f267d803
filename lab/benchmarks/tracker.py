"""Our tracker against its peers: same weights, pictures and threads, in one run.

Everybody follows the same things from the same given masks; on every picture they take turns, the order
reversed each time, so that what else the machine does falls on all alike. First come as many pictures as fill
the memories, untimed: until then peers attend to fewer memories, and kernels are compiled. Peers run in
float32 and in bfloat16; we are compared with the faster, and masks with float32's.
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
from lab.benchmarks.baselines import Official, Session, require_peer
from lab.benchmarks.candidates import PARTS, Contestant, Ours
from lab.benchmarks.roofline import frame_flops, peak_flops
from lab.benchmarks.timing import Stopwatch, clock_of
from lab.benchmarks.tracker_clip import BenchClip, bench_clip
from lab.fixtures.random_sam2 import bench_weights
from streaming.vocabulary import Mask

OTHER: Final = "other"
"What of a frame is in none of PARTS."


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """What is raced."""

    model: str = "nano"
    "`nano`, a checkpoint, or one of `families.FAMILY_NAMES`: random weights."
    side_px: int | None = None
    objects: Sequence[int] = (1, 3)
    backends: Sequence[str] = ("auto",)
    precision: PrecisionChoice = "auto"
    "Of ours."
    against: Sequence[str] = ("transformers",)
    "Of peers.PEERS."
    frames: int = 40
    threads: int = 1
    cache_dir: Path | None = None
    "Where our compiled graphs are kept; None compiles anew."


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One way to track, with one number of objects. Times are medians over frames."""

    engine: str
    "A backend of ours, or a peer."
    precision: str
    objects: int
    frame_ms: float
    fps: float
    parts_ms: dict[str, float]
    "By PARTS and OTHER."
    times_as_fast: dict[str, float]
    "As each peer, in its faster precision."
    seen: float
    "Share of all things on all frames that have a mask."
    mask_iou: dict[str, float]
    "Mean agreement with each peer's masks at source size, in float32."
    held_bytes: int
    "What it keeps for this stream after the last frame."
    grown_bytes: int
    "Of that, what each further frame adds."
    peak_share: float
    "Of the products a second that the device makes at best, in the faster precision."


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
    """Race ours against the peers with each number of objects.

    Raises NotFound, CheckpointError, InvalidSettings, BackendUnavailable.
    """
    weights = bench_weights(options.model, options.side_px)
    for peer in options.against:
        require_peer(peer, weights)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Compiling sets torch's threads, too.
    contestants = [*_ours(weights, options), *_peers(weights, options.against, device)]
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    peak = max(peak_flops(device, dtype) for dtype in (torch.float32, torch.bfloat16))
    warm_up = int(weights.model.config.num_maskmem) - 1
    rows = []
    for count in options.objects:
        clip = bench_clip(count, 1 + warm_up + options.frames)
        laps = _race(contestants, clip, warm_up, device)
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


def _ours(weights: TrackerWeights, options: BenchOptions) -> list[Ours]:
    found = []
    for name in options.backends:
        backend = choose_backend(
            name,
            threads=options.threads,
            capacity=max(options.objects),
            precision=options.precision,
            cache_dir=options.cache_dir,
        )
        found.append(Ours(compile_tracker(weights, backend), backend.compute_precision, _rules(weights)))
    return found


def _rules(weights: TrackerWeights) -> TrackerPolicy:
    """The peers': every frame is remembered, whatever it shows."""
    if family_name(weights.model.config) is None:  # nano, taught with given masks as they are
        return replace(PRODUCT, memory_temporal_stride=1, min_memory_iou=0.0, min_visible_iou=0.0)
    return replace(AS_SAM2, cond_masks_as_decoded=False)


def _peers(weights: TrackerWeights, names: Sequence[str], device: torch.device) -> list[Contestant]:
    kinds: dict[str, Callable[..., Contestant]] = {"transformers": Session, "sam2": Official}
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    return [kinds[name](weights, precision, device) for name in names for precision in precisions]


@dataclass(frozen=True, slots=True, eq=False)
class _Laps:
    """What one contestant took, frame by frame, and saw."""

    contestant: Contestant
    parts_s: list[dict[str, float]]
    "With the whole frame under the empty name."
    seen: list[list[Mask | None]]
    held_bytes: list[int]


_WHOLE: Final = ""


def _race(
    contestants: Sequence[Contestant], clip: BenchClip, warm_up: int, device: torch.device
) -> list[_Laps]:
    watches = [Stopwatch(clock_of(device)) for _ in contestants]
    runs = [one.start(clip, watch) for one, watch in zip(contestants, watches, strict=True)]
    laps = [_Laps(one, [], [], []) for one in contestants]
    for index in range(1, len(clip.frames)):
        turns = list(range(len(runs)))
        for turn in turns if index % 2 else reversed(turns):
            run, watch = runs[turn], watches[turn]
            watch.lap()
            followed = watch.run(_WHOLE, partial(run.step, index))
            if index > warm_up:
                laps[turn].parts_s.append(watch.lap())
                laps[turn].seen.append(run.masks(followed))
                laps[turn].held_bytes.append(run.held_bytes())
    return laps


def _rows(laps: Sequence[_Laps], objects: int, least_s: float) -> list[BenchRow]:
    """least_s: a frame's products at the device's peak."""
    frames_s = [float(np.median([parts[_WHOLE] for parts in one.parts_s])) for one in laps]
    peers = dict.fromkeys(one.contestant.name for one in laps if not isinstance(one.contestant, Ours))
    fastest_s = {
        peer: min(s for one, s in zip(laps, frames_s, strict=True) if one.contestant.name == peer)
        for peer in peers
    }
    exact = {one.contestant.name: one for one in laps if one.contestant.precision == "float32"}
    rows = []
    for one, frame_s in zip(laps, frames_s, strict=True):
        held = one.held_bytes
        rows.append(
            BenchRow(
                engine=one.contestant.name,
                precision=one.contestant.precision,
                objects=objects,
                frame_ms=round(1e3 * frame_s, 2),
                fps=round(1 / frame_s, 2),
                parts_ms=_parts_ms(one.parts_s),
                times_as_fast={peer: round(s / frame_s, 2) for peer, s in fastest_s.items()},
                seen=_seen(one.seen),
                mask_iou={peer: _agreement(one.seen, exact[peer].seen) for peer in peers},
                held_bytes=held[-1],
                grown_bytes=(held[-1] - held[0]) // max(1, len(held) - 1),
                peak_share=round(least_s / frame_s, 4),
            )
        )
    return rows


def _parts_ms(laps: Sequence[dict[str, float]]) -> dict[str, float]:
    spent = {part: [lap.get(part, 0.0) for lap in laps] for part in PARTS}
    spent[OTHER] = [2 * lap[_WHOLE] - sum(lap.values()) for lap in laps]
    return {part: round(1e3 * float(np.median(each)), 3) for part, each in spent.items()}


def _seen(frames: Sequence[list[Mask | None]]) -> float:
    return round(float(np.mean([mask is not None for masks in frames for mask in masks])), 4)


def _agreement(ours: Sequence[list[Mask | None]], theirs: Sequence[list[Mask | None]]) -> float:
    pairs = [pair for frames in zip(ours, theirs, strict=True) for pair in zip(*frames, strict=True)]
    return round(float(np.mean([_iou(*pair) for pair in pairs])), 4)


def _iou(a: Mask | None, b: Mask | None) -> float:
    if a is None or b is None:
        return float(a is b)
    return mask_iou(a, b)
