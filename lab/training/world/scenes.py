"""Clips of the drawn world: frames with exact masks, a function of the seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.training.scene_description import ObjectLabel, SceneDescription
from lab.training.world.composition import compose_scene
from lab.training.world.holdout import split_of, vocabulary_of
from lab.training.world.levels import NANO_LEVEL, Level
from lab.training.world.rendering import RenderedFrame, masks_of, render_frame

SAMPLE_FPS: Final = 30.0
"Frame rate of a clip of stride 1."
_PER_FRAME: Final = ("masks", "amodal_area_px", "occluded_px", "centres_px", "boxes_px", "world_centres_px")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Clip(SceneDescription):
    """T frames of a scene, and its description."""

    frames: NDArray[np.uint8]
    "(T, H, W, 3) RGB."
    seed: int
    level: Level

    def take_frames(self, indices: Sequence[int]) -> Clip:
        """Return a clip of some of the frames; `step_s` stays that of all frames."""
        selected = list(indices)
        return replace(self, **{name: getattr(self, name)[selected] for name in ("frames", *_PER_FRAME)})

    def take_objects(self, indices: Sequence[int]) -> Clip:
        """Return a clip of the same frames that describes only some of the objects."""
        selected = list(indices)
        per_object = {name: getattr(self, name)[:, selected] for name in _PER_FRAME}
        per_object["occluded_px"] = per_object["occluded_px"][:, :, selected]
        return replace(self, labels=tuple(self.labels[index] for index in selected), **per_object)


def draw_clip(
    seed: int,
    *,
    frames: int,
    size: tuple[int, int] = (256, 256),
    stride: float = 1.0,
    level: Level = NANO_LEVEL,
) -> Clip:
    """Draw a clip; the same arguments give the same clip, and a longer clip begins like a shorter one.

    `size` is (height, width) in pixels, neither above 1088. A square image is squeezed from 1:1, 4:3 or
    16:9, as a model's input is squeezed from a camera's. Consecutive frames are `stride / SAMPLE_FPS` seconds
    apart. The seed also decides the split (`holdout.split_of`). Raises ValueError for a seed of no split.
    """
    rng = np.random.default_rng(seed)
    scene = compose_scene(seed, level, size, rng)
    labels = tuple(obj.label for obj in scene.objects if obj.label is not None)
    times_s = [index * stride / SAMPLE_FPS for index in range(frames)]
    rendered = [render_frame(scene, time_s) for time_s in times_s]
    images = [
        scene.camera.degrade(frame.image, time_s, rng)
        for frame, time_s in zip(rendered, times_s, strict=True)
    ]
    return assemble_clip(
        np.stack(images), rendered, labels, step_s=stride / SAMPLE_FPS, seed=seed, level=level
    )


def assemble_clip(
    frames: NDArray[np.uint8],
    rendered: Sequence[RenderedFrame],
    labels: tuple[ObjectLabel, ...],
    *,
    step_s: float,
    seed: int,
    level: Level,
) -> Clip:
    """Make a clip of a camera's images (T, H, W, 3) and the T rendered frames that they are of."""
    return Clip(
        labels=labels,
        masks=masks_of(np.stack([frame.instance_map for frame in rendered]), rendered[0].labelled),
        amodal_area_px=np.stack([frame.amodal_area_px for frame in rendered]),
        occluded_px=np.stack([frame.occluded_px for frame in rendered]),
        centres_px=np.stack([frame.centres_px for frame in rendered]),
        boxes_px=np.stack([frame.boxes_px for frame in rendered]),
        world_centres_px=np.stack([frame.world_centres_px for frame in rendered]),
        step_s=step_s,
        vocabulary=vocabulary_of(level, split_of(seed)),
        frames=frames,
        seed=seed,
        level=level,
    )
