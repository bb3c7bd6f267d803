"""Batches of clips for stage `tracker`, and where they come from.

A run of the stage has a `TrackerData`, which it asks for clips. `DrawnClips` draws them; another source, such
as photographs moved by a virtual camera, implements the same two methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lab.training.nano_config import SIDE_PX
from lab.training.world.holdout import VALIDATION_SEED
from lab.training.world.levels import NANO_LEVEL, UNLABELLED_LEVEL, Level
from lab.training.world.scenes import Clip, draw_clip

VALIDATION_CLIPS: Final = 12
UNLABELLED_STEPS: Final = (1, 3)
"""Of every five steps, those with unlabelled objects: real objects are of no category to a tracker, deform,
and have the texture of what is behind them."""
MIN_AREA: Final = 0.004
"Least share of the first frame that a tracked object covers."
_STRIDES: Final = (1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 12.0)
"""Frames of 1/30 s from one frame of a clip to the next. Over the longest, position helps little: appearance
alone tells where an object is."""
_OCCLUDED: Final = 0.3
"An object counts as occluded while less than this share of its first visible area is visible."
_REJECTED: Final = 0.85
"""Share of drawn clips without a full absence that are rejected, so that on one object-frame in eight the
object is absent. With one in 14, absent objects kept masks, often on objects of similar appearance."""
_COARSE_NOISE: Final = 0.12
"Amount of noise on coarse mask prompts, see `coarse_mask`."


@dataclass(frozen=True, slots=True, eq=False)
class ClipBatch:
    """K clips of T frames with side S, and masks of B objects: B / K of every clip."""

    frames: Tensor
    "(K, T, S, S, 3) uint8 RGB."
    masks: Tensor
    "(T, B, S, S) float32, 0 or 1: visible parts; the objects of a clip stand together."


class SampleClip(NamedTuple):
    """A clip of T frames with side S and N objects, to train on."""

    frames: NDArray[np.uint8]
    "(T, S, S, 3) RGB."
    masks: NDArray[np.bool_]
    "(T, N, S, S): visible parts."
    categories: Sequence[str]
    "(N,)."


DrawClip = Callable[[int, int, float], SampleClip]
"""Draws the clip of a seed with that many frames, `stride` / 30 s apart."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackerBatch:
    """Clips with the mask prompts that their objects are tracked from."""

    clips: ClipBatch
    prompts: dict[int, Tensor]
    "By frame index, 0 among them: (B, S, S) float32, 0 or 1; true masks, or coarse as a grounder's."


@dataclass(frozen=True, slots=True)
class TrackerRequest:
    """What a batch depends on. With prefetching it is a few steps old when the batch is used."""

    seed: int
    "Of the run."
    step: int
    spent: float
    "Share 0..1 of the budget that is spent."
    level: Level
    "Of the curriculum."


class TrackerData(Protocol):
    """A source of clips for training and validation. Picklable: workers load batches."""

    def load(self, request: TrackerRequest) -> TrackerBatch:
        """Make the batch of a step, on the CPU; a function of the request."""

    def validation_clips(self, level: Level) -> Iterable[Clip]:
        """Return held-out clips of a level, the same at every call."""


@dataclass(frozen=True, slots=True)
class DrawnClips:
    """Clips of the drawn world. Seeds of batches are `seed * 10**6 + step`."""

    clips: int = 4
    "Clips of a step if they had 4 frames: more of shorter ones, fewer of longer ones, at least 2."
    objects: int = 2
    "Objects of each clip."

    def load(self, request: TrackerRequest) -> TrackerBatch:
        """Draw clips of 3 frames at first, of 4 from 15 % of the budget on, of 5 and 8 from 30 % on."""
        step, spent = request.step, request.spent
        # Two steps in eight have 8 frames, one of them an even step: half of them have coarse prompts.
        length = 3 if spent < 0.15 else 4 if spent < 0.3 else 8 if step // 2 % 4 == 0 else 5
        # Fewer of longer clips: a step takes about the same time.
        clips = max(2, round(self.clips * 4 / (length + 0.5)))
        return draw_tracker_batch(request.seed, step, (clips, self.objects, length), request.level)

    def validation_clips(self, level: Level) -> Iterable[Clip]:
        """Draw clips of 12 frames, 0.1 s apart."""
        seeds = range(VALIDATION_SEED, VALIDATION_SEED + VALIDATION_CLIPS)
        return (draw_clip(seed, frames=12, stride=3.0, level=level) for seed in seeds)


def draw_tracker_batch(run_seed: int, step: int, shape: tuple[int, int, int], level: Level) -> TrackerBatch:
    """Draw the batch of a step; shape is (clips, objects of each, frames)."""
    if step % 5 in UNLABELLED_STEPS:
        level = UNLABELLED_LEVEL
    return add_prompts(draw_clip_batch(run_seed * 10**6 + step, shape, level), run_seed * 10**6 + step, step)


def add_prompts(clips: ClipBatch, seed: int, step: int) -> TrackerBatch:
    """Prompt every object on the first frame, and on some steps again on a later one.

    Prompts are coarse on even steps. Clips of 5 frames or more have a second prompt on one step in three, as
    a late answer of the grounder gives one.
    """
    generator = torch.Generator().manual_seed(seed)
    length = clips.frames.shape[1]
    noise = 0.0 if step % 2 else _COARSE_NOISE
    first = clips.masks[0]
    prompts = {0: coarse_mask(first, noise, generator) if step % 2 == 0 else first}
    if length > 4 and step % 3 == 0:
        late = 2 + step % (length - 3)
        mask = coarse_mask(clips.masks[late], noise, generator)
        if mask.flatten(1).any(dim=1).all():  # the grounder answers with no empty masks
            prompts[late] = mask
    return TrackerBatch(clips, prompts)


def draw_clip_batch(seed: int, shape: tuple[int, int, int], level: Level = NANO_LEVEL) -> ClipBatch:
    """Draw training clips of a seed from the drawn world; see `gather_clips`."""

    def draw(clip_seed: int, frames: int, stride: float) -> SampleClip:
        clip = draw_clip(clip_seed, frames=frames, size=(SIDE_PX, SIDE_PX), stride=stride, level=level)
        return SampleClip(clip.frames, clip.masks, [label.category for label in clip.labels])

    return gather_clips(draw, seed, shape, _REJECTED)


def gather_clips(draw: DrawClip, seed: int, shape: tuple[int, int, int], rejected: float) -> ClipBatch:
    """Draw clips until there are enough; shape is (clips, objects of each, frames).

    Objects cover at least `MIN_AREA` of the first frame; where a clip has too few, objects are repeated.
    rejected: share of clips without a full absence that are drawn again.
    """
    clips, objects, length = shape
    rng = np.random.default_rng(seed)
    frames: list[NDArray[np.uint8]] = []
    masks: list[NDArray[np.bool_]] = []
    while len(frames) < clips:
        stride, indices = sample_frame_indices(rng, length)
        clip = draw(int(rng.integers(VALIDATION_SEED)), indices[-1] + 1, stride)
        visible = clip.masks[indices]
        area = visible.mean(axis=(2, 3))
        candidates = np.flatnonzero(area[0] > MIN_AREA)
        if not candidates.size:
            continue
        # Clips with an object that leaves and comes back are the most useful: others are mostly rejected.
        least = area[1:, candidates].min(axis=0) / area[0, candidates]
        if least.min() > 0 and rng.random() < rejected:
            continue
        categories = [clip.categories[int(index)] for index in candidates]
        order = candidates[rank_by_difficulty(least, categories, rng)]
        frames.append(clip.frames[indices])
        masks.append(visible[:, [order[k % order.size] for k in range(objects)]])
    stacked = np.concatenate(masks, axis=1)
    return ClipBatch(torch.from_numpy(np.stack(frames)), torch.from_numpy(stacked).float())


def sample_frame_indices(rng: np.random.Generator, length: int) -> tuple[float, list[int]]:
    """Return a stride, in frames of 1/30 s, and the indices of `length` frames at that stride.

    Between the first frame, with the prompt, and the second some may be skipped. Long clips at a camera's
    frame rate gave no better tracker in the same time: J&F 0.711 against 0.722 (on 6 held-out clips of 4 s,
    too few to distinguish the two).
    """
    gap = int(rng.choice((0, 0, 0, 2, 4)))
    return float(rng.choice(_STRIDES)), [0, *range(gap + 1, gap + length)]


def rank_by_difficulty(
    least: NDArray[np.floating], categories: Sequence[str], rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return the indices of N objects, hardest first; equals in random order.

    Hardest are those that are fully absent for a while, then occluded ones, then those of a category that
    another object has, too: trackers lost small ones to such distractors within 40 to 80 frames.
    least: (N,) smallest later visible area, as a share of the first.
    """
    has_distractor = np.array([categories.count(category) > 1 for category in categories])
    return np.lexsort((rng.random(len(categories)), ~has_distractor, least >= _OCCLUDED, least > 0))


def coarse_mask(mask: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """(B, S, S) true masks → masks as coarse as a grounder's: stride 4, edges moved by smooth noise."""
    soft = functional.avg_pool2d(mask[:, None], 4)
    soft = functional.avg_pool2d(soft, 3, stride=1, padding=1)
    random = torch.randn(mask.shape[0], 1, 8, 8, generator=generator)
    soft = soft + noise * functional.interpolate(random, size=soft.shape[2:], mode="bicubic") * (soft > 0.02)
    return (functional.interpolate(soft, size=mask.shape[1:], mode="bilinear")[:, 0] > 0.5).float()
