"""Drawn clips to be played as live streams, with expressions to ask and the ground truth of every frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Final

import numpy as np

from engines.masks import decode_mask, encode_mask
from lab.training.language.expressions import Expression
from lab.training.language.stable_expressions import stable_expressions
from lab.training.world.holdout import Split
from lab.training.world.levels import Level
from lab.training.world.scenes import Clip, draw_clip
from streaming.video_writer import VideoWriter
from streaming.vocabulary import Mask, MaskRle

FPS: Final = 30
SIZE: Final = (360, 640)
"(height, width) in pixels."
WINDOWS: Final = ((30, 118), (120, 208), (210, 298))
"""First and last frame on which expressions are asked and scored. The clip is repeated after `FRAMES`; from a
second after the jump on, keyframes have no earlier frames from before it."""
FRAMES: Final = 300
PRESENT, ABSENT = 2, 1
"Expressions per window: about present objects, of different kinds, and about absent objects."

_FIRST_SEED: Final = Split.UNSEEN.first_seed + 10**6
"Held-out scenes that no other measurement uses."
_CHECK_EVERY: Final = 8
"An expression's referents must be the same on every such frame of its window."


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a clip and the expressions asked at its beginning."""

    start: int
    end: int
    "First and last frame."
    expressions: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class LiveClip:
    """A clip in a file of `FPS` frames per second, with its ground truth."""

    name: str
    path: Path
    masks: tuple[tuple[MaskRle, ...], ...]
    "By frame, then by object: the visible part."
    windows: tuple[Window, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.masks[0][0].size

    def mask_of(self, objects: Sequence[int], frame: int) -> Mask:
        """Return the union of objects' masks, (H, W); frame: counted through all repetitions of the clip."""
        shown = self.masks[frame % len(self.masks)]
        masks = [decode_mask(shown[index]) for index in objects]
        return np.asarray(np.logical_or.reduce([np.zeros(self.size, bool), *masks]), bool)


def draw_live_clips(clips: int, level: Level, folder: Path) -> list[LiveClip]:
    """Draw the level's first held-out clips that have stable expressions. Takes seconds for each."""
    return list(islice(_drawn(level, folder), clips))


def _drawn(level: Level, folder: Path) -> Iterator[LiveClip]:
    for seed in count(_FIRST_SEED):
        clip = draw_clip(seed, frames=FRAMES, size=SIZE, stride=30 / FPS, level=level)
        windows = [Window(*frames, _expressions(clip, *frames)) for frames in WINDOWS]
        if any(window.expressions for window in windows):
            yield _write(clip, tuple(window for window in windows if window.expressions), folder)


def _expressions(clip: Clip, start: int, end: int) -> tuple[Expression, ...]:
    rng = np.random.default_rng((clip.seed, start))
    stable = stable_expressions(clip, range(start, end, _CHECK_EVERY), int(rng.integers(12)))
    absent = [expression for expression in stable if not expression.referents]
    by_kind: dict[str, list[Expression]] = defaultdict(list)
    for expression in stable:
        if expression.referents:
            by_kind[expression.kind].append(expression)
    kinds = [list(by_kind)[index] for index in rng.permutation(len(by_kind))[:PRESENT]]
    present = [by_kind[kind][int(rng.integers(len(by_kind[kind])))] for kind in kinds]
    return (*present, *(absent[index] for index in rng.permutation(len(absent))[:ABSENT]))


def _write(clip: Clip, windows: tuple[Window, ...], folder: Path) -> LiveClip:
    path = folder / f"{clip.seed}.mp4"
    with VideoWriter(path, fps=FPS) as writer:
        for index, pixels in enumerate(clip.frames):
            writer.write(pixels, index / FPS)
    masks = tuple(tuple(encode_mask(mask) for mask in frame) for frame in clip.masks)
    return LiveClip(str(clip.seed), path, masks, windows)
