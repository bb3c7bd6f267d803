"""What a true box on a picture of a real film means to each backend, and to the official package.

No memory is asked, so the image part of a checkpoint is enough (`random_weights.complete_image_weights`). The package is
asked twice: with pictures shrunk as ours are, which compares what is computed, and as it shrinks them itself.
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

WAYS: Final[tuple[tuple[str, Precision], ...]] = (
    ("torch", "float32"),
    ("onnxruntime", "float32"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("openvino", "int8"),
)
"Backends of ours that every machine has; int8 takes the package nncf."

OWN_PICTURES: Final = "sam2, its own pictures"

Box = tuple[float, float, float, float]
"x0, y0, x1, y1 in the picture's pixels, the last two exclusive."
Segment = Callable[[Pixels, Box], Mask]
"What is in a box of a picture (H, W, 3)."


@dataclass(frozen=True, slots=True)
class BoxScore:
    """One way to read boxes."""

    engine: str
    precision: str
    j: dict[str, float]
    "By film, mean over the pictures asked about."
    mean_j: float
    agreement: float
    "Mean IoU with the official package's masks on our pictures, over all pictures."
    furthest: float
    "Largest difference of a film's J from the official package's on our pictures."


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What one way made of one picture."""

    film: str
    mask: Mask
    j: float


def score_boxes(
    weights: TrackerWeights, films: Sequence[RealClip], every: int | None, cache_dir: Path | None
) -> list[BoxScore]:
    """Every way, ours first, then the package sam2's two; one picture in `every` of each film, or its first.

    Raises InvalidSettings where the package does not know the model, BackendUnavailable where something is
    not installed, NotFound where a picture cannot be read.
    """
    require_baseline("sam2", weights)
    ways = [way for way in WAYS if way[1] != "int8" or find_spec("nncf")]
    found = {
        (name, precision): _asked(our_way(weights, _backend(name, precision, cache_dir)), films, every)
        for name, precision in ways
    }
    predictor = official_predictor(weights, torch.device("cpu"))
    side = weights.side_px
    reference = _asked(official_way(predictor, lambda picture: to_square(picture, side)), films, every)
    found["sam2", "float32"] = reference
    found[OWN_PICTURES, "float32"] = _asked(official_way(predictor, lambda picture: picture), films, every)
    return [_score(*way, answers, reference) for way, answers in found.items()]


def _score(engine: str, precision: str, answers: list[_Found], reference: list[_Found]) -> BoxScore:
    scores, wanted = _by_film(answers), _by_film(reference)
    shared = [mask_iou(ours.mask, theirs.mask) for ours, theirs in zip(answers, reference, strict=True)]
    return BoxScore(
        engine=engine,
        precision=precision,
        j={film: round(value, 4) for film, value in scores.items()},
        mean_j=round(float(np.mean(list(scores.values()))), 4),
        agreement=round(float(np.mean(shared)), 4),
        furthest=round(max(abs(scores[film] - wanted[film]) for film in scores), 4),
    )


def _by_film(answers: Sequence[_Found]) -> dict[str, float]:
    films = dict.fromkeys(answer.film for answer in answers)
    return {film: float(np.mean([answer.j for answer in answers if answer.film == film])) for film in films}


def _backend(name: str, precision: Precision, cache_dir: Path | None) -> Backend:
    return choose_backend(name, precision=precision, cache_dir=cache_dir)


def _asked(segment: Segment, films: Iterable[RealClip], every: int | None) -> list[_Found]:
    found = []
    for film in films:
        step = every or len(film.pictures)
        for picture, true in islice(zip(film.read(), film.truth(), strict=True), 0, None, step):
            if true.any():
                mask = segment(picture, box_of(true))
                found.append(_Found(film.name, mask, region_j(mask, true)))
    return found


def box_of(mask: Mask) -> Box:
    """Around a mask that is not empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def our_way(weights: TrackerWeights, backend: Backend) -> Segment:
    """The graphs of a click, on a backend."""
    graphs = {graph.name: graph for graph in tracker_graphs(weights)}
    encode, point = (backend.compile(graphs[name]).runner() for name in ("encode", "point"))

    def segment(picture: Pixels, box: Box) -> Mask:
        height, width = picture.shape[:2]
        points, labels = np.zeros((1, POINTS, 2), np.float32), np.full((1, POINTS), -1, np.int64)
        corners = np.array(box, np.float32).reshape(2, 2) / np.array([width, height], np.float32)
        points[0, :2], labels[0, :2] = corners * np.float32(weights.side_px), (2, 3)
        levels = encode(to_square(picture, weights.side_px)[None])
        logits = point(*levels, points, labels)[0]
        drawn = mask_from_logits(logits[0], (height, width))
        return np.zeros((height, width), np.bool_) if drawn is None else decode_mask(drawn.rle)

    return segment


def official_way(predictor: Any, shown: Callable[[Pixels], Pixels]) -> Segment:
    """The package's video predictor; what it is shown of a picture it shrinks to its size itself."""

    def segment(picture: Pixels, box: Box) -> Mask:
        state = official_state(predictor, [shown(picture)])
        state["video_height"], state["video_width"] = picture.shape[:2]
        _, _, logits = predictor.add_new_points_or_box(state, 0, 0, box=np.array(box, np.float32))
        mask: Mask = (logits[0, 0] > 0).numpy()
        return mask

    return segment
