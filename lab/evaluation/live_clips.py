"""Drawn clips to be played as live streams, with words to ask of them and the truth about every picture."""

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
"""Frames on which words are asked and judged, first and last. The clip starts anew after `FRAMES`; a second
later no picture from before the jump is shown with a question any more."""
FRAMES: Final = 300
THERE, NOT_THERE = 2, 1
"Words of each window about what is there, of different kinds, and about what is not."

_FIRST_SEED: Final = Split.UNSEEN.first_seed + 10**6
"Scenes of its own, which no other measurement asks about."
_LOOK_EVERY: Final = 8
"Frames from one on which the meaning is looked at to the next: objects do not change places unseen."


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a clip and what is asked at its beginning."""

    start: int
    end: int
    "First and last frame."
    words: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class LiveClip:
    """A clip on disk."""

    seed: int
    path: Path
    masks: tuple[tuple[MaskRle, ...], ...]
    "By frame, then by thing: the visible part."
    windows: tuple[Window, ...]

    def mask_of(self, targets: Sequence[int], picture: int) -> Mask:
        """(H, W): some things on a picture, counted through all rounds."""
        shown = self.masks[picture % len(self.masks)]
        meant = [decode_mask(shown[index]) for index in targets]
        return np.asarray(np.logical_or.reduce([np.zeros(SIZE, bool), *meant]), bool)


def draw_live_clips(clips: int, level: Level, folder: Path) -> list[LiveClip]:
    """The first so many of the level's held-out clips of which anything can be asked; seconds for each."""
    return list(islice(_drawn(level, folder), clips))


def _drawn(level: Level, folder: Path) -> Iterator[LiveClip]:
    for seed in count(_FIRST_SEED):
        clip = draw_clip(seed, frames=FRAMES, size=SIZE, stride=30 / FPS, level=level)
        windows = [Window(*frames, _words(clip, *frames)) for frames in WINDOWS]
        if any(window.words for window in windows):
            yield _kept(clip, tuple(window for window in windows if window.words), folder)


def _words(clip: Clip, start: int, end: int) -> tuple[Expression, ...]:
    rng = np.random.default_rng((clip.seed, start))
    said = stable_expressions(clip, range(start, end, _LOOK_EVERY), int(rng.integers(12)))
    absent = [one for one in said if not one.referents]
    by_kind: dict[str, list[Expression]] = defaultdict(list)
    for one in said:
        if one.referents:
            by_kind[one.kind].append(one)
    kinds = [list(by_kind)[index] for index in rng.permutation(len(by_kind))[:THERE]]
    there = [by_kind[kind][int(rng.integers(len(by_kind[kind])))] for kind in kinds]
    return (*there, *(absent[index] for index in rng.permutation(len(absent))[:NOT_THERE]))


def _kept(clip: Clip, windows: tuple[Window, ...], folder: Path) -> LiveClip:
    path = folder / f"{clip.seed}.mp4"
    with VideoWriter(path, fps=FPS) as writer:
        for index, pixels in enumerate(clip.frames):
            writer.write(pixels, index / FPS)
    masks = tuple(tuple(encode_mask(mask) for mask in frame) for frame in clip.masks)
    return LiveClip(clip.seed, path, masks, windows)
