"""Quality of a tracker on real clips: the first ground-truth mask of each, propagated."""

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
    """Consecutive frames with the ground-truth masks of an object."""

    name: str
    frames: tuple[Path, ...]
    masks: tuple[Path, ...]
    "As many, of the same size: not black where the object is."

    def read(self) -> Iterator[Pixels]:
        """Yield the frames, (H, W, 3) uint8 RGB."""
        return (_read(path, cv2.IMREAD_COLOR_RGB) for path in self.frames)

    def truth(self) -> Iterator[Mask]:
        """Yield the masks, (H, W) bool."""
        return (_read(path, cv2.IMREAD_GRAYSCALE) > 0 for path in self.masks)


@dataclass(frozen=True, slots=True)
class RealClipScore:
    """Mean J of a clip over all frames but the first."""

    frames: int
    j: float
    j_copy: float
    "Of the first mask, copied to all frames: the floor."


@dataclass(frozen=True, slots=True)
class RealClipsScore:
    """Figures of `score_real_clips`."""

    films: dict[str, RealClipScore]
    j: float
    "Mean over clips, with equal weights."
    j_copy: float


def find_real_clips(folder: Path) -> list[RealClip]:
    """Find every `folder/<name>/frames/*.jpg` with its `masks/*.png` (as DAVIS 2016: one mask per frame).

    Raises NotFound where there is none, or where a clip's frames and masks do not pair.
    """
    clips = []
    for frames_dir in sorted(folder.glob("*/frames")):
        frames = tuple(sorted(frames_dir.glob("*.jpg")))
        masks = tuple(sorted(frames_dir.with_name("masks").glob("*.png")))
        if [path.stem for path in frames] != [path.stem for path in masks] or len(frames) < 2:
            raise NotFound(f"{frames_dir.parent} has no mask of the same name for every frame.")
        clips.append(RealClip(frames_dir.parent.name, frames, masks))
    if not clips:
        raise NotFound(
            f"There are no clips in {folder}.",
            remedy="It should hold <name>/frames/*.jpg and <name>/masks/*.png.",
        )
    return clips


def score_real_clips(compiled: CompiledTracker, clips: Iterable[RealClip]) -> RealClipsScore:
    """Track the object of every clip. Raises NotFound where a file cannot be read."""
    scores = {clip.name: _score(compiled, clip) for clip in clips}
    return RealClipsScore(
        films=scores,
        j=float(np.mean([score.j for score in scores.values()])),
        j_copy=float(np.mean([score.j_copy for score in scores.values()])),
    )


def _score(compiled: CompiledTracker, clip: RealClip) -> RealClipScore:
    j, j_copy = Mean(), Mean()
    truth = clip.truth()
    first = next(truth)
    tracked = propagate(SamTracker(compiled, capacity=1), clip.read(), first[None])
    for (mask,), true in zip(tracked, truth, strict=True):
        j.add(region_j(np.zeros_like(first) if mask is None else mask, true))
        j_copy.add(region_j(first, true))
    return RealClipScore(len(clip.frames), j.value, j_copy.value)


def _read(path: Path, flags: int) -> Pixels:
    """Return (H, W) or (H, W, 3) uint8; flags: of `cv2.imread`."""
    image = cv2.imread(str(path), flags)
    if image is None:
        raise NotFound(f"{path} cannot be read as an image.")
    return np.asarray(image, dtype=np.uint8)
