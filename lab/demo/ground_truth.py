"""A clip's ground truth: objects' visible masks on every frame, expressions' referents."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from engines.masks import decode_mask
from streaming.errors import NotFound
from streaming.vocabulary import Mask, MaskRle

FOLDER: Final = Path(__file__).parent / "data"
CLIP: Final = FOLDER / "scene.mp4"
"The drawn clip: 360x640 pixels, 20 s at 30 frames per second."
GROUND_TRUTH: Final = FOLDER / "truth.json.gz"
_NO_ATTRIBUTES: Final = {"the", "one", "thing", "shape", "object", "a"}
"Words of an expression that restrict it to no object."


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Masks and labels of a clip's objects."""

    fps: float
    objects: tuple[str, ...]
    'Label of each object, such as "red circle".'
    masks: tuple[tuple[MaskRle, ...], ...]
    "By frame, then by object: the visible part."
    phrases: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Example expressions in the order in which the page offers them, each with the indices of its referents.
    An expression without referents is about an object that the clip does not show."""
    unjudged: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    "By phrase: stretches of frames, first and last, on which it is not known what it refers to."
    complete: bool = True
    "Whether all objects of the clip are known, so that other expressions than the phrases can be judged."

    def mask_of(self, expression: str, frame: int) -> Mask:
        """Return the union of an expression's referents on a frame: (H, W) bool.

        frame: counted from the clip's first frame on; the clip is repeated without end.
        expression: one of `phrases`, or any other: this refers to every object whose label has all of its
        words, articles and "one" not counted. An expression that fits no object gives an empty mask.
        """
        shown = self.masks[frame % len(self.masks)]
        masks = [decode_mask(shown[index]) for index in self._referents(expression)]
        height, width = shown[0].size
        return np.asarray(np.logical_or.reduce([np.zeros((height, width), bool), *masks]), bool)

    def is_known(self, expression: str, frame: int) -> bool:
        """Return whether it is known what an expression refers to on a frame, counted as for `mask_of`."""
        if expression not in self.phrases:
            return self.complete
        index = frame % len(self.masks)
        return not any(first <= index <= last for first, last in self.unjudged.get(expression, ()))

    def _referents(self, expression: str) -> Sequence[int]:
        if expression in self.phrases:
            return self.phrases[expression]
        words = set(expression.lower().split()) - _NO_ATTRIBUTES
        return [index for index, label in enumerate(self.objects) if words and words <= set(label.split())]


UNKNOWN: Final = GroundTruth(0.0, (), (), complete=False)
"Of a source of which nothing is known."


def load_ground_truth(path: Path = GROUND_TRUTH) -> GroundTruth:
    """Read a file that `save_ground_truth` wrote, by default the drawn clip's. Raises NotFound."""
    if not path.is_file():
        raise NotFound("The bundled clip is missing.", remedy="Install Saccade again.")
    with gzip.open(path, "rt") as file:
        stored = json.load(file)
    size = (int(stored["size"][0]), int(stored["size"][1]))
    masks = tuple(tuple(MaskRle(size, counts) for counts in frame) for frame in stored["masks"])
    phrases = {text: tuple(referents) for text, referents in stored["phrases"].items()}
    unjudged = {
        text: tuple((int(first), int(last)) for first, last in stretches)
        for text, stretches in stored["unjudged"].items()
    }
    return GroundTruth(
        float(stored["fps"]), tuple(stored["things"]), masks, phrases, unjudged, bool(stored["complete"])
    )


def save_ground_truth(truth: GroundTruth, path: Path) -> None:
    """Write a file for `load_ground_truth`. Equal ground truths give equal bytes."""
    stored: dict[str, Any] = {
        "fps": truth.fps,
        "size": truth.masks[0][0].size,
        "things": truth.objects,
        "phrases": truth.phrases,
        "unjudged": truth.unjudged,
        "complete": truth.complete,
        "masks": [[mask.counts for mask in frame] for frame in truth.masks],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # An archive without file name and modification time.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as file:
        file.write(json.dumps(stored, separators=(",", ":")).encode())
