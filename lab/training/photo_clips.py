"""Clips of photographs for stage `tracker`: cut-outs and whole photographs in motion, and the drawn world."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from lab.training.nano_config import SIDE_PX
from lab.training.tracker_clips import (
    DrawnClips,
    SampleClip,
    TrackerBatch,
    TrackerRequest,
    add_prompts,
    gather_clips,
)
from lab.training.world.levels import Level
from lab.training.world.photo_scenes import PhotoWorld
from lab.training.world.photographs import load_photographs
from lab.training.world.rendering import masks_of, render_frame
from lab.training.world.scenes import SAMPLE_FPS, Clip

DRAWN_EVERY: Final = 5
"One step in so many is of the drawn world, so that what was learnt there is not forgotten."
REJECTED: Final = 0.35
"""Share of clips without a full absence that are rejected. Lower than in the drawn world: in real video most
objects stay in view, and their appearance changes."""
_LENGTHS: Final = {4: 4, 5: 3, 8: 2}
"Clips of a step, by their number of frames: a step takes about the same time."


@dataclass(frozen=True, slots=True)
class PhotoClips:
    """Clips of the photographs in a folder (`photographs.load_photographs`), split `train`."""

    folder: Path
    objects: int = 2
    "Objects of each clip."
    drawn: DrawnClips = field(default_factory=DrawnClips)
    "The drawn world, for some steps and for validation."

    def load(self, request: TrackerRequest) -> TrackerBatch:
        """Draw clips of 4, 5 or 8 frames; one step in `DRAWN_EVERY` is of the drawn world."""
        if request.step % DRAWN_EVERY == DRAWN_EVERY - 1:
            return self.drawn.load(request)
        seed = request.seed * 10**6 + request.step
        length = (4, 5, 5, 8)[request.step % 4]
        shape = (_LENGTHS[length], self.objects, length)
        world = _world(self.folder)

        def draw(clip_seed: int, frames: int, stride: float) -> SampleClip:
            return draw_photo_clip(world, clip_seed, frames, stride)

        return add_prompts(gather_clips(draw, seed, shape, REJECTED), seed, request.step)

    def validation_clips(self, level: Level) -> Iterable[Clip]:
        """Draw clips of the drawn world: real video is measured by `saccade eval`."""
        return self.drawn.validation_clips(level)


def draw_photo_clip(world: PhotoWorld, seed: int, frames: int, stride: float) -> SampleClip:
    """Draw the clip of a seed; frames are square, `stride` / SAMPLE_FPS seconds apart."""
    rng = np.random.default_rng(seed)
    scene = world.compose((SIDE_PX, SIDE_PX), rng)
    times_s = [index * stride / SAMPLE_FPS for index in range(frames)]
    rendered = [render_frame(scene, time_s) for time_s in times_s]
    images = [
        scene.camera.degrade(frame.image, time_s, rng)
        for frame, time_s in zip(rendered, times_s, strict=True)
    ]
    masks = masks_of(np.stack([frame.instance_map for frame in rendered]), rendered[0].labelled)
    categories = [obj.label.category for obj in scene.objects if obj.label is not None]
    return SampleClip(np.stack(images), masks, categories)


@cache
def _world(folder: Path) -> PhotoWorld:
    """Load the photographs of a folder once a process."""
    return PhotoWorld(load_photographs(folder, "train"))
