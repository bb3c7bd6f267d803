"""What a true box on the first picture of a real film means to each backend, and to the official package.

No memory is asked, so the image part of a checkpoint is enough (`random_weights.completed`). The package is
asked twice: with pictures shrunk as ours are, which compares what is computed, and as it shrinks them itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from engines.backends.choose import choose_backend
from engines.backends.graph import Backend, Precision
from engines.evaluation.footage import Film
from engines.evaluation.metrics import region_j
from engines.evaluation.peers import official_predictor, official_state, require_peer
from engines.geometry import to_square
from engines.masks import decode_mask, draw_mask
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.graph_set import tracker_graphs
from engines.tracking.shape import POINTS
from streaming.vocabulary import Mask, Pixels

WAYS: Final[tuple[tuple[str, Precision], ...]] = (
    ("torch", "float32"),
    ("onnxruntime", "float32"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
)
"Backends of ours that every machine has."

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
    "By film, on its first picture."
    mean_j: float
    furthest: float
    "Largest difference of a film's J from the official package's on our pictures."


def score_boxes(weights: TrackerWeights, films: Sequence[Film], cache_dir: Path | None) -> list[BoxScore]:
    """Every way, ours first, then the package sam2's two.

    Raises InvalidSettings where the package does not know the model, BackendUnavailable where something is
    not installed, NotFound where a picture cannot be read.
    """
    require_peer("sam2", weights)
    found = {
        (name, precision): _scored(our_way(weights, _backend(name, precision, cache_dir)), films)
        for name, precision in WAYS
    }
    predictor = official_predictor(weights, torch.device("cpu"))
    side = weights.side_px
    reference = _scored(official_way(predictor, lambda picture: to_square(picture, side)), films)
    found["sam2", "float32"] = reference
    found[OWN_PICTURES, "float32"] = _scored(official_way(predictor, lambda picture: picture), films)
    return [
        BoxScore(
            engine=name,
            precision=precision,
            j={film: round(value, 4) for film, value in scores.items()},
            mean_j=round(float(np.mean(list(scores.values()))), 4),
            furthest=round(max(abs(scores[film] - reference[film]) for film in scores), 4),
        )
        for (name, precision), scores in found.items()
    ]


def _backend(name: str, precision: Precision, cache_dir: Path | None) -> Backend:
    return choose_backend(name, precision=precision, cache_dir=cache_dir)


def _scored(segment: Segment, films: Iterable[Film]) -> dict[str, float]:
    scores = {}
    for film in films:
        picture, true = next(film.read()), next(film.truth())
        scores[film.name] = region_j(segment(picture, box_of(true)), true)
    return scores


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
        drawn = draw_mask(logits[0], (height, width))
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
