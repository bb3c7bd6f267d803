"""How well a tracker follows in real films: the first true mask of each, carried on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engines.tracking.compiled import CompiledTracker
from engines.tracking.tracker import SamTracker
from lab.evaluation.metrics import Mean, region_j
from lab.evaluation.propagation import propagate
from streaming.errors import NotFound
from streaming.vocabulary import Mask, Pixels


@dataclass(frozen=True, slots=True)
class RealClip:
    """One thing in consecutive pictures, and where it truly is."""

    name: str
    pictures: tuple[Path, ...]
    masks: tuple[Path, ...]
    "As many, of the same size: not black where the thing is."

    def read(self) -> Iterator[Pixels]:
        """The pictures, one at a time."""
        return (_read(path, cv2.IMREAD_COLOR_RGB) for path in self.pictures)

    def truth(self) -> Iterator[Mask]:
        """The masks, one at a time."""
        return (_read(path, cv2.IMREAD_GRAYSCALE) > 0 for path in self.masks)


@dataclass(frozen=True, slots=True)
class RealClipScore:
    """Mean J of a film over all frames but the first."""

    frames: int
    j: float
    j_copy: float
    "Of the first mask, kept: the floor."


@dataclass(frozen=True, slots=True)
class RealClipsScore:
    """Figures of `score_real_clips`."""

    films: dict[str, RealClipScore]
    j: float
    "Mean over films, each alike."
    j_copy: float


def find_real_clips(folder: Path) -> list[RealClip]:
    """Every `folder/<name>/frames/*.jpg` with its `masks/*.png` (DAVIS 2016, one merged mask a frame).

    Raises NotFound where there is none, or one whose pictures and masks do not pair.
    """
    films = []
    for frames in sorted(folder.glob("*/frames")):
        pictures = tuple(sorted(frames.glob("*.jpg")))
        masks = tuple(sorted(frames.with_name("masks").glob("*.png")))
        if [path.stem for path in pictures] != [path.stem for path in masks] or len(pictures) < 2:
            raise NotFound(f"{frames.parent} has no mask of the same name for every picture.")
        films.append(RealClip(frames.parent.name, pictures, masks))
    if not films:
        raise NotFound(
            f"There are no films in {folder}.",
            remedy="It should hold <name>/frames/*.jpg and <name>/masks/*.png.",
        )
    return films


def score_real_clips(compiled: CompiledTracker, films: Iterable[RealClip]) -> RealClipsScore:
    """Follow the thing of every film. Raises NotFound where a picture cannot be read."""
    scores = {film.name: _score(compiled, film) for film in films}
    return RealClipsScore(
        films=scores,
        j=float(np.mean([score.j for score in scores.values()])),
        j_copy=float(np.mean([score.j_copy for score in scores.values()])),
    )


def _score(compiled: CompiledTracker, film: RealClip) -> RealClipScore:
    j, j_copy = Mean(), Mean()
    truth = film.truth()
    first = next(truth)
    drawn = propagate(SamTracker(compiled, capacity=1), film.read(), first[None])
    for (mask,), true in zip(drawn, truth, strict=True):
        j.add(region_j(np.zeros_like(first) if mask is None else mask, true))
        j_copy.add(region_j(first, true))
    return RealClipScore(len(film.pictures), j.value, j_copy.value)


def _read(path: Path, how: int) -> Pixels:
    """(H, W), or (H, W, 3) in the order asked for."""
    read = cv2.imread(str(path), how)
    if read is None:
        raise NotFound(f"{path} cannot be read as a picture.")
    return np.asarray(read, dtype=np.uint8)
