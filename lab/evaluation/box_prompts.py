"""`saccade bench boxes`: masks from box prompts on real clips, of every backend and of the official package.

Memories are not used, so the image weights of a checkpoint are enough (`random_sam2.complete_image_weights`).
The package runs twice: on frames resized as Saccade resizes them, which compares the computation, and on
frames that it resizes itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from engines.backends.choose import choose_backend
from engines.backends.graph import Backend, Precision
from engines.geometry import mask_iou, to_square
from engines.masks import decode_mask, mask_from_logits
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compilation import tracker_graphs
from engines.tracking.shape import POINTS
from lab.benchmarks.baselines import official_predictor, official_state, require_baseline
from lab.evaluation.metrics import region_j
from lab.evaluation.real_clips import RealClip
from streaming.vocabulary import Mask, Pixels

BACKENDS: Final[tuple[tuple[str, Precision], ...]] = (
    ("torch", "float32"),
    ("onnxruntime", "float32"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("openvino", "int8"),
)
"Backends and precisions that every machine has; int8 needs the package nncf."

OWN_RESIZE: Final = "sam2, its own pictures"

Box = tuple[float, float, float, float]
"x0, y0, x1, y1 in the frame's pixels, the last two exclusive."
Segmenter = Callable[[Pixels, Box], Mask]
"Takes a frame (H, W, 3) uint8 RGB and a box; returns the mask (H, W) of the object in it."


@dataclass(frozen=True, slots=True)
class BoxScore:
    """Figures of an engine with a precision."""

    engine: str
    precision: str
    j: dict[str, float]
    "By clip, mean over its frames."
    mean_j: float
    agreement: float
    "Mean IoU with the official package's masks on equally resized frames, over all frames."
    furthest: float
    "Largest difference of a clip's J from the official package's on equally resized frames."


@dataclass(frozen=True, slots=True, eq=False)
class _FrameMask:
    """A frame's mask."""

    clip: str
    mask: Mask
    j: float


def score_boxes(
    weights: TrackerWeights, clips: Sequence[RealClip], every: int | None, cache_dir: Path | None
) -> list[BoxScore]:
    """Score every backend, then the package sam2 twice, on one frame in `every` of a clip, or on its first.

    Raises InvalidSettings where the package cannot run the model, BackendUnavailable where something is not
    installed, NotFound where a frame cannot be read.
    """
    require_baseline("sam2", weights)
    backends = [each for each in BACKENDS if each[1] != "int8" or find_spec("nncf")]
    masks = {
        (name, precision): _segment_clips(
            saccade_segmenter(weights, _backend(name, precision, cache_dir)), clips, every
        )
        for name, precision in backends
    }
    predictor = official_predictor(weights, torch.device("cpu"))
    side = weights.side_px
    reference = _segment_clips(
        official_segmenter(predictor, lambda frame: to_square(frame, side)), clips, every
    )
    masks["sam2", "float32"] = reference
    masks[OWN_RESIZE, "float32"] = _segment_clips(
        official_segmenter(predictor, lambda frame: frame), clips, every
    )
    return [_score(*engine, frames, reference) for engine, frames in masks.items()]


def _score(engine: str, precision: str, frames: list[_FrameMask], reference: list[_FrameMask]) -> BoxScore:
    scores, expected = _j_by_clip(frames), _j_by_clip(reference)
    ious = [mask_iou(a.mask, b.mask) for a, b in zip(frames, reference, strict=True)]
    return BoxScore(
        engine=engine,
        precision=precision,
        j={clip: round(value, 4) for clip, value in scores.items()},
        mean_j=round(float(np.mean(list(scores.values()))), 4),
        agreement=round(float(np.mean(ious)), 4),
        furthest=round(max(abs(scores[clip] - expected[clip]) for clip in scores), 4),
    )


def _j_by_clip(frames: Sequence[_FrameMask]) -> dict[str, float]:
    clips = dict.fromkeys(frame.clip for frame in frames)
    return {clip: float(np.mean([frame.j for frame in frames if frame.clip == clip])) for clip in clips}


def _backend(name: str, precision: Precision, cache_dir: Path | None) -> Backend:
    return choose_backend(name, precision=precision, cache_dir=cache_dir)


def _segment_clips(segment: Segmenter, clips: Iterable[RealClip], every: int | None) -> list[_FrameMask]:
    masks = []
    for clip in clips:
        step = every or len(clip.frames)
        for frame, true in islice(zip(clip.read(), clip.truth(), strict=True), 0, None, step):
            if true.any():
                mask = segment(frame, bounding_box(true))
                masks.append(_FrameMask(clip.name, mask, region_j(mask, true)))
    return masks


def bounding_box(mask: Mask) -> Box:
    """Return the bounding box of a mask that is not empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def saccade_segmenter(weights: TrackerWeights, backend: Backend) -> Segmenter:
    """Return a segmenter of Saccade's graphs for points and boxes, on a backend."""
    graphs = {graph.name: graph for graph in tracker_graphs(weights)}
    encode, point = (backend.compile(graphs[name]).runner() for name in ("encode", "point"))

    def segment(frame: Pixels, box: Box) -> Mask:
        height, width = frame.shape[:2]
        points, labels = np.zeros((1, POINTS, 2), np.float32), np.full((1, POINTS), -1, np.int64)
        corners = np.array(box, np.float32).reshape(2, 2) / np.array([width, height], np.float32)
        points[0, :2], labels[0, :2] = corners * np.float32(weights.side_px), (2, 3)
        levels = encode(to_square(frame, weights.side_px)[None])
        logits = point(*levels, points, labels)[0]
        mask = mask_from_logits(logits[0], (height, width))
        return np.zeros((height, width), np.bool_) if mask is None else decode_mask(mask.rle)

    return segment


def official_segmenter(predictor: Any, resize: Callable[[Pixels], Pixels]) -> Segmenter:
    """Return a segmenter of the package's video predictor, which resizes the output of `resize` itself."""

    def segment(frame: Pixels, box: Box) -> Mask:
        state = official_state(predictor, [resize(frame)])
        state["video_height"], state["video_width"] = frame.shape[:2]
        _, _, logits = predictor.add_new_points_or_box(state, 0, 0, box=np.array(box, np.float32))
        mask: Mask = (logits[0, 0] > 0).numpy()
        return mask

    return segment
