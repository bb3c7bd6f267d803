"""Compose a random scene of a level: labels, appearances, places, motions, occluders, camera.

World coordinates are image heights: the image spans [0, aspect) x [0, 1) and is squeezed to the size asked
for, as a camera's 16:9 image is squeezed to a model's square input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.training.scene_description import ObjectLabel
from lab.training.world.backgrounds import draw_background
from lab.training.world.camera import draw_camera
from lab.training.world.catalogue import ANY_TILT, DRAWINGS, UNLABELLED
from lab.training.world.colours import Rgb, blended, luma, sample_colour, scaled
from lab.training.world.deformation import draw_deformation
from lab.training.world.holdout import split_of
from lab.training.world.label_sampling import sample_labels
from lab.training.world.levels import Level
from lab.training.world.motion import Motion, draw_motion
from lab.training.world.parts import Part, fill, rectangle, rounded
from lab.training.world.rendering import Scene, SceneObject
from lab.training.world.sprites import (
    SPRITE_EXTENT,
    Sprite,
    apply_shading,
    draw_sprite,
    relief_shading,
    side_shading,
)
from lab.training.world.textures import TEXTURES
from lab.training.world.unlabelled_objects import draw_unlabelled_object

_SPRITE_SIDE: Final = (40, 420)
"Least and most pixels along a sprite."


def compose_scene(seed: int, level: Level, size: tuple[int, int], rng: np.random.Generator) -> Scene:
    """Compose the scene of a seed, with all random numbers but the sensor noise of its frames.

    `size` is (height, width) in pixels. Objects of one label differ in size and pose only.
    """
    height, width = size
    aspect = float(rng.choice((1.0, 4 / 3, 16 / 9))) if height == width else width / height
    labels = sample_labels(level, split_of(seed), rng)
    appearances = {label: _draw_appearance(label, level, rng) for label in labels if label != UNLABELLED}
    colours = [appearance.rgb for appearance in appearances.values()]
    background = draw_background(level.backgrounds, colours, size, rng)
    setting = _Setting(level, background, aspect)
    places: list[tuple[float, float]] = []
    objects = []
    for label in labels:
        diameter = _diameter(level, len(labels), rng)
        places.append(_free_place(rng, aspect, diameter, places))
        if label == UNLABELLED:
            objects.append(_unlabelled_object(diameter, places[-1], setting, rng))
        else:
            objects.append(_labelled_object(appearances[label], diameter, places[-1], setting, rng))
    for _ in range(int(rng.integers(level.max_occluders + 1))):
        objects.insert(int(rng.integers(1, len(objects) + 1)), _occluder(setting, rng))
    camera = draw_camera(level.camera_effects, rng)
    return Scene(tuple(objects), background, aspect, camera, level.shadow_strength * float(rng.uniform()))


@dataclass(frozen=True, slots=True, eq=False)
class _Setting:
    """What all objects of a scene share."""

    level: Level
    background: NDArray[np.uint8]
    aspect: float

    def sprite_side(self, diameter: float) -> int:
        """Return the pixels along the sprite of an object of that diameter (image heights)."""
        return int(np.clip(math.ceil(diameter * self.background.shape[0] * SPRITE_EXTENT), *_SPRITE_SIDE))

    def draw_motion(
        self, start: tuple[float, float], size: float, tilt: float, rng: np.random.Generator
    ) -> Motion:
        """Draw a motion of one of the level's kinds, for an object of that size that may tilt so far."""
        kind = self.level.motions[int(rng.integers(len(self.level.motions)))]
        most = min(tilt, self.level.max_tilt_rad)
        return draw_motion(kind, rng, start=start, size=size, aspect=self.aspect, tilt=most)


@dataclass(frozen=True, slots=True)
class _Appearance:
    """The appearance of all objects of one label in a scene."""

    label: ObjectLabel
    rgb: Rgb
    texture: str
    sides: tuple[float, float]
    "Brightness at the left and the right end."
    relief: float
    light: tuple[float, float]
    "x, y towards the light."
    seed: int

    def draw(self, side: int) -> Sprite:
        """Draw a sprite of `side` pixels; every call draws the same object."""
        rng = np.random.default_rng(self.seed)
        parts = DRAWINGS[self.label.category].draw(rng)
        sprite = draw_sprite(parts, self.rgb, TEXTURES[self.texture](self.rgb, side, rng), rng)
        shading = side_shading(self.sides)
        if self.relief:
            shading = shading * relief_shading(sprite.alpha, self.light, self.relief)
        return apply_shading(sprite, shading)


def _draw_appearance(label: ObjectLabel, level: Level, rng: np.random.Generator) -> _Appearance:
    return _Appearance(
        label=label,
        rgb=sample_colour(label.colour, level.colour_spread, rng),
        texture=level.textures[int(rng.integers(len(level.textures)))],
        sides=(float(rng.uniform(0.82, 1.08)), float(rng.uniform(0.82, 1.08))),
        relief=level.shading * float(rng.uniform()),
        light=(float(rng.uniform(-1, 1)), -1.0),
        seed=int(rng.integers(1 << 32)),
    )


def _labelled_object(
    appearance: _Appearance,
    diameter: float,
    place: tuple[float, float],
    setting: _Setting,
    rng: np.random.Generator,
) -> SceneObject:
    drawing = DRAWINGS[appearance.label.category]
    motion = setting.draw_motion(place, diameter, drawing.max_tilt_rad, rng)
    stretch = (1.0, 1.0)
    if setting.level.shading:
        stretch = (float(rng.uniform(0.9, 1.1)), float(rng.uniform(0.9, 1.1)))
    sprite = appearance.draw(setting.sprite_side(diameter * math.sqrt(motion.greatest_scale)))
    return SceneObject(appearance.label, sprite, motion, diameter, stretch, drawing.has_front)


def _unlabelled_object(
    diameter: float, place: tuple[float, float], setting: _Setting, rng: np.random.Generator
) -> SceneObject:
    motion = setting.draw_motion(place, diameter, ANY_TILT, rng)
    side = setting.sprite_side(diameter * math.sqrt(motion.greatest_scale))
    sprite = draw_unlabelled_object(setting.background, side, rng)
    shading = side_shading((float(rng.uniform(0.7, 1.15)), float(rng.uniform(0.7, 1.15))))
    depth, light = setting.level.shading * float(rng.uniform()), (float(rng.uniform(-1, 1)), -1.0)
    sprite = apply_shading(sprite, shading * relief_shading(sprite.alpha, light, depth))
    return SceneObject(UNLABELLED, sprite, motion, diameter, deformation=draw_deformation(rng))


def _diameter(level: Level, count: int, rng: np.random.Generator) -> float:
    """Draw a diameter; with many objects the greatest diameter is smaller."""
    low, high = level.size_range
    return float(rng.uniform(low, max(low, high * min(1.0, 2 / math.sqrt(count)))))


def _free_place(
    rng: np.random.Generator, aspect: float, size: float, taken: list[tuple[float, float]]
) -> tuple[float, float]:
    """Draw six places inside the image, and return the one furthest from those that are taken."""
    margin = 0.45 * size
    wide, tall = aspect - 2 * margin, 1 - 2 * margin
    tries = [(margin + wide * x, margin + tall * y) for x, y in rng.random((6, 2)).tolist()]
    return max(tries, key=lambda place: min((math.dist(place, other) for other in taken), default=0.0))


def _occluder(setting: _Setting, rng: np.random.Generator) -> SceneObject:
    """Draw a static board or bush in the background's mean colour."""
    size = float(rng.uniform(0.25, 0.6))
    step = max(setting.background.shape[0] // 16, 1)
    samples = setting.background[::step, ::step].reshape(-1, 3)
    red, green, blue = (float(tone) for tone in samples.mean(axis=0))
    rgb = _without_a_colour_name(scaled((red, green, blue), float(rng.choice((0.6, 0.7, 1.3)))))
    parts = _board(rng) if rng.random() < 0.6 else _bush(rng)
    sprite = draw_sprite(parts, rgb, TEXTURES["mottled"](rgb, setting.sprite_side(size), rng), rng)
    start = (float(rng.uniform(0, setting.aspect)), float(rng.uniform(0.2, 1.0)))
    motion = draw_motion("static", rng, start=start, size=size, aspect=setting.aspect, tilt=0.1)
    return SceneObject(None, sprite, motion, size)


def _without_a_colour_name(rgb: Rgb) -> Rgb:
    """Make a colour nearly grey, and neither black nor white, so that no colour name fits it."""
    grey = min(max(luma(rgb), 65.0), 175.0)
    return blended(scaled(rgb, grey / max(luma(rgb), 1.0)), (grey, grey, grey), 0.6)


def _board(rng: np.random.Generator) -> list[Part]:
    half = float(rng.uniform(0.15, 0.5))
    return [fill(rectangle((-half, -1.2), (half, 1.2), 0.04))]


def _bush(rng: np.random.Generator) -> list[Part]:
    angles = np.arange(9) * 2 * math.pi / 9
    corners = rng.uniform(0.6, 1.15, size=9) * np.array([np.cos(angles), np.sin(angles)])
    return [fill(rounded(*((float(x), float(y)) for x, y in corners.T)))]
