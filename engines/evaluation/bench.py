"""Our tracker against transformers' own video session: same weights, frames, threads, one run.

Everybody follows the same drawn objects from the same given masks; on every frame they take turns, the
order reversed each time, so that what else the machine does falls on all alike. Ours is timed from the
source picture to run lengths; theirs from the model's input to logits at model size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from engines.backends.choose import choose_backend
from engines.geometry import mask_iou, to_prompt, to_square
from engines.masks import decode_mask, draw_mask
from engines.tracking.checkpoints import TrackerWeights, load_tracker_weights
from engines.tracking.compiled import CompiledTracker, compile_tracker
from engines.tracking.memory import MemoryBank
from engines.tracking.policy import PRODUCT
from engines.tracking.pyramid import IMAGE_MEAN, IMAGE_STD
from engines.tracking.tracker import SamTracker
from engines.training.world.scenes import Clip, draw_clip
from streaming.vocabulary import Answer, Clock, Frame, Logits, Prompt, QueryId, StreamId

BACKENDS = ("openvino", "torch")
SIZE = (360, 640)
"(height, width) of the drawn source."
_SCENE = 2 * 10**9
"First seed searched for a scene with enough things."


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One way to track, with one number of objects. Times are medians over frames."""

    engine: str
    '"openvino" and "torch" are ours, "transformers" is theirs.'
    objects: int
    frame_ms: float
    fps: float
    speedup: float
    "Times as fast as transformers' session."
    mask_iou: float
    "Mean agreement with transformers' masks at source size."


@dataclass(frozen=True, slots=True)
class BenchPart:
    """One part of our frame, alone."""

    engine: str
    part: str
    objects: int
    ms: float
    "Median."


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What `bench_tracker` measured."""

    frames: int
    threads: int
    rows: tuple[BenchRow, ...]
    parts: tuple[BenchPart, ...]


def bench_tracker(
    objects: Sequence[int] = (1, 3), *, frames: int = 100, threads: int = 1, weights: str = "nano"
) -> BenchReport:
    """Time every engine with each number of objects (1-4) on `frames` frames.

    Raises NotFound, CheckpointError, BackendUnavailable.
    """
    loaded = load_tracker_weights(weights)
    compiled = {name: compile_tracker(loaded, choose_backend(name, threads=threads)) for name in BACKENDS}
    torch.set_num_threads(threads)
    rows, parts = [], []
    for count in objects:
        rows += _race(loaded, compiled, _scene(count, frames), count)
        for name, one in compiled.items():
            parts += [BenchPart(name, part, count, ms) for part, ms in _parts(one, count).items()]
    return BenchReport(frames, threads, tuple(rows), tuple(parts))


_Step = Callable[[int], list[NDArray[np.bool_] | None]]
"""Track frame k; masks at source size, None where nothing is seen."""


def _race(
    weights: TrackerWeights, compiled: dict[str, CompiledTracker], clip: Clip, objects: int
) -> list[BenchRow]:
    engines: dict[str, tuple[Callable[[int], Any], Callable[[Any], list[Any]]]] = {
        name: _ours(one, clip, objects) for name, one in compiled.items()
    }
    engines["transformers"] = _theirs(weights, clip, objects)
    times: dict[str, list[float]] = {name: [] for name in engines}
    overlaps: dict[str, list[float]] = {name: [] for name in engines}
    for index in range(1, len(clip.frames)):
        order = list(engines) if index % 2 else list(reversed(engines))
        raw = {}
        for name in order:
            start_s = time.perf_counter()
            raw[name] = engines[name][0](index)
            times[name].append(time.perf_counter() - start_s)
        masks = {name: engines[name][1](raw[name]) for name in engines}
        for name, drawn in masks.items():
            pairs = zip(drawn, masks["transformers"], strict=True)
            overlaps[name] += [_agreement(ours, theirs) for ours, theirs in pairs]
    # The first frames compile kernels for their shapes.
    medians = {name: float(np.median(spent[len(spent) // 5 :])) for name, spent in times.items()}
    return [
        BenchRow(
            engine=name,
            objects=objects,
            frame_ms=round(1e3 * median, 2),
            fps=round(1 / median, 1),
            speedup=round(medians["transformers"] / median, 2),
            mask_iou=round(float(np.mean(overlaps[name])), 4),
        )
        for name, median in medians.items()
    ]


def _ours(compiled: CompiledTracker, clip: Clip, objects: int) -> Any:
    # Everything is remembered, as in their session.
    everything = replace(PRODUCT, remember_every=1, keep_iou=0.0, seen_iou=0.0)
    tracker = SamTracker(compiled, capacity=objects, policy=everything)
    stream = StreamId("bench")

    def frame(index: int) -> Frame:
        return Frame(stream, index, clip.frames[index], index / 30, 0.0, Clock.ARRIVAL)

    tracker.step(frame(0))
    tracker.pin(0)
    logits = np.stack([_given(clip, thing) for thing in range(objects)])
    prompts = tuple(Prompt(str(thing), np.zeros(1, np.float32), 1.0) for thing in range(objects))
    answer = Answer(stream, QueryId("q"), 1, 0, "", prompts, logits)

    def step(index: int) -> Any:
        return tracker.step(frame(index), [answer] if index == 1 else [])

    def masks(tracks: Any) -> list[Any]:
        drawn = {int(track.phrase): decode_mask(track.mask) for track in tracks if track.mask}
        return [drawn.get(thing) for thing in range(objects)]

    return step, masks


def _theirs(weights: TrackerWeights, clip: Clip, objects: int) -> Any:
    model: Any = type(weights.model)(weights.model.config)  # type: ignore[arg-type]
    model.set_attn_implementation("sdpa")
    model.load_state_dict(weights.model.state_dict())
    model.eval()
    session = Sam2VideoInferenceSession(*_nothing_yet(), dtype=torch.float32)
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (IMAGE_MEAN, IMAGE_STD))
    for thing in range(objects):
        mask = torch.from_numpy(to_prompt(_given(clip, thing), weights.side_px))
        session.add_mask_inputs(session.obj_id_to_idx(thing), 0, mask[None, None])
    session.obj_with_new_inputs = list(range(objects))

    @torch.inference_mode()
    def step(index: int) -> Any:
        picture = torch.from_numpy(to_square(clip.frames[index], weights.side_px)).permute(2, 0, 1)
        return model(session, frame=(picture.float() / 255 - mean) / std).pred_masks[:, 0]

    def masks(logits: Any) -> list[Any]:
        drawn = [draw_mask(one.numpy(), SIZE) for one in logits]
        return [decode_mask(one.rle) if one else None for one in drawn]

    step(0)
    return step, masks


def _nothing_yet() -> tuple[None, int, int]:
    """A session that streams: no video, source height and width."""
    return None, *SIZE


def _parts(compiled: CompiledTracker, objects: int, repeats: int = 40) -> dict[str, float]:
    """Median milliseconds of each part of a frame."""
    shape = compiled.shape
    encode, track, remember = (
        program.runner() for program in (compiled.encode, compiled.track, compiled.remember)
    )
    source = np.zeros((*SIZE, 3), np.uint8)
    picture = to_square(source, shape.side_px)[None]
    bank = MemoryBank(shape, objects)
    for _ in range(objects):
        bank.add()
    levels = tuple(level.copy() for level in encode(picture))
    batch = bank.batch()
    rows, columns = np.mgrid[: shape.low_px, : shape.low_px] - shape.low_px / 2
    nobody = np.zeros(objects, np.bool_)
    disc = (shape.low_px / 6 - np.hypot(rows, columns)).astype(np.float32)
    discs, scores = np.repeat(disc[None], objects, 0), np.ones(objects, np.float32)
    work = {
        "resize": lambda: to_square(source, shape.side_px),
        "encode": lambda: encode(picture),
        "track": lambda: track(*levels, *batch),
        "remember": lambda: remember(levels[0], discs, scores, nobody),
        "draw": lambda: [draw_mask(disc, SIZE) for _ in range(objects)],
    }
    return {name: _median_ms(run, repeats) for name, run in work.items()}


def _median_ms(run: Callable[[], object], repeats: int) -> float:
    run()
    spent = []
    for _ in range(repeats):
        start_s = time.perf_counter()
        run()
        spent.append(time.perf_counter() - start_s)
    return round(1e3 * float(np.median(spent)), 3)


def _scene(objects: int, frames: int) -> Clip:
    """A drawn clip on whose first frame enough things are clearly seen."""
    for seed in range(_SCENE, _SCENE + 1000):
        first = draw_clip(seed, frames=1, size=SIZE)
        if (first.masks[0].mean(axis=(1, 2)) > 0.01).sum() >= objects:
            clip = draw_clip(seed, frames=frames + 1, size=SIZE)
            return clip.only(np.flatnonzero(clip.masks[0].mean(axis=(1, 2)) > 0.01)[:objects].tolist())
    raise AssertionError("a thousand drawn scenes hold one with that many things")


def _given(clip: Clip, thing: int) -> Logits:
    return np.where(clip.masks[0, thing], 10.0, -10.0).astype(np.float32)


def _agreement(a: NDArray[np.bool_] | None, b: NDArray[np.bool_] | None) -> float:
    if a is None or b is None:
        return float(a is b)
    return mask_iou(a, b)
