"""One moment of a scene: everything painted from back to front, and who is seen where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.training.world.camera import Affine, Camera, Picture
from engines.training.world.motion import Motion, Pose
from engines.training.world.sprites import REACH, Sprite
from engines.training.world.things import Thing

EXPOSURE_S: Final = 1 / 30
"A shutter of 1 is open for so long."
Box = tuple[int, int, int, int]
"x0, y0, x1, y1 in pixels, the last ones excluded."


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """Something on the stage."""

    thing: Thing | None
    "None: a thing without a name, which only hides others."
    sprite: Sprite
    motion: Motion
    size: float
    "Diameter in picture heights at scale 1."
    stretch: tuple[float, float] = (1.0, 1.0)
    "Across and down, of its own shape."
    turns: bool = False
    "Whether it is mirrored while it goes left."


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A scene before it is looked at; actors from back to front."""

    actors: tuple[Actor, ...]
    ground: Picture
    aspect: float
    "Width over height of what the picture shows, whatever its size in pixels."
    camera: Camera
    shadows: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """A clean picture and the truth about its N named things."""

    picture: Picture
    masks: NDArray[np.bool_]
    "(N, H, W) the visible part."
    whole_px: NDArray[np.float32]
    "(N,) area of the whole shape."
    covered_px: NDArray[np.float32]
    "(N, N) pixels of the first that the second took from view."
    centres: NDArray[np.float32]
    "(N, 2) x, y of the whole shape's middle, pixels."
    boxes: NDArray[np.float32]
    "(N, 4) x0, y0, x1, y1 around the whole shape, pixels."
    paths: NDArray[np.float32]
    "(N, 2) the centres as they would be, had the camera not moved."


def shoot(stage: Stage, moment: float) -> Still:
    """The stage `moment` seconds from its beginning."""
    picture = _ground(stage, moment)
    still = _blank(picture, sum(actor.thing is not None for actor in stage.actors))
    index = 0
    for actor in stage.actors:
        placed = _placed(actor, stage, moment)
        box, solid = _paint(placed, picture, stage.shadows)
        x0, y0, x1, y1 = box
        before = still.masks[:index, y0:y1, x0:x1]
        if actor.thing is not None:
            still.covered_px[:index, index] = (before & solid).sum(axis=(1, 2))
            still.masks[index, y0:y1, x0:x1] = solid
            _measure(still, index, placed)
            index += 1
        before &= ~solid
    return still


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """An actor where the picture has it."""

    actor: Actor
    place: Affine
    "From unit space to pixels."
    hull: NDArray[np.float64]
    "(P, 2) around its silhouette, pixels."
    path: tuple[float, float]
    "Its centre, had the camera not moved, pixels."
    smear: tuple[float, float]
    "How far it goes while the shutter is open, pixels."


def _blank(picture: Picture, count: int) -> Still:
    def zeros(*shape: int) -> NDArray[np.float32]:
        return np.zeros(shape, dtype=np.float32)

    masks = np.zeros((count, *picture.shape[:2]), dtype=np.bool_)
    return Still(
        picture, masks, zeros(count), zeros(count, count), zeros(count, 2), zeros(count, 4), zeros(count, 2)
    )


def _measure(still: Still, index: int, placed: _Placed) -> None:
    low, high = placed.hull.min(axis=0), placed.hull.max(axis=0)
    still.whole_px[index] = placed.actor.sprite.area * abs(float(np.linalg.det(placed.place[:, :2])))
    still.boxes[index] = (*low, *high)
    still.centres[index] = (low + high) / 2
    still.paths[index] = placed.path


def _ground(stage: Stage, moment: float) -> Picture:
    if not stage.camera.moves:
        return stage.ground.copy()
    height, width = stage.ground.shape[:2]
    near, x, y = stage.camera.view(moment)
    move = np.array(
        [
            [near, 0, (1 - near) * width / 2 - x * width / stage.aspect],
            [0, near, (1 - near) * height / 2 - y * height],
        ]
    )
    moved = cv2.warpAffine(stage.ground, move, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.uint8)


def _placed(actor: Actor, stage: Stage, moment: float) -> _Placed:
    height, width = stage.ground.shape[:2]
    scale = np.array([width / stage.aspect, height])
    pose, then = actor.motion.at(moment), actor.motion.at(moment + EXPOSURE_S)
    place = _affine(actor, pose, stage, moment) * scale[:, None]
    hull = actor.sprite.hull @ place[:, :2].T + place[:, 2]
    going = stage.camera.shutter * np.array([then.x - pose.x, then.y - pose.y]) * scale
    path = np.array([pose.x, pose.y]) * scale
    return _Placed(actor, place, hull, (path[0], path[1]), (going[0], going[1]))


def _affine(actor: Actor, pose: Pose, stage: Stage, moment: float) -> Affine:
    """From unit space to picture heights."""
    near, shift_x, shift_y = stage.camera.view(moment)
    radius = 0.5 * actor.size * pose.scale * near
    wide = radius * actor.stretch[0] * (-1 if actor.turns and pose.goes_left else 1)
    tall = radius * actor.stretch[1]
    cos, sin = math.cos(pose.angle), math.sin(pose.angle)
    x = near * (pose.x - stage.aspect / 2) + stage.aspect / 2 - shift_x
    y = near * (pose.y - 0.5) + 0.5 - shift_y
    return np.array([[cos * wide, -sin * tall, x], [sin * wide, cos * tall, y]])


def _paint(placed: _Placed, picture: Picture, shadows: float) -> tuple[Box, NDArray[np.bool_]]:
    """Paint the actor; returns the box it fell into, empty out of the picture, and its pixels there."""
    sprite = placed.actor.sprite
    drop = 0.1 * placed.actor.size * picture.shape[0] if shadows else 0.0
    margin = 2 + math.ceil(max(math.hypot(*placed.smear) / 2, drop))
    box = _clip_box(placed.hull, picture.shape[:2], margin)
    x0, y0, x1, y1 = box
    size = (x1 - x0, y1 - y0)
    if not all(size):
        return box, np.zeros(size[::-1], dtype=np.bool_)
    unit_px = sprite.cover.shape[0] / (2 * REACH)
    window = placed.place.copy()
    # A sprite's pixel p lies at (p + 0.5) / unit_px - REACH; a picture's pixel q is centred on q + 0.5.
    window[:, 2] += window[:, :2] @ np.full(2, 0.5 / unit_px - REACH) - 0.5 - (x0, y0)
    window[:, :2] /= unit_px
    cover = np.asarray(cv2.warpAffine(sprite.cover, window, size), dtype=np.uint8)
    paint = cv2.warpAffine(sprite.paint, window, size, borderMode=cv2.BORDER_REPLICATE)
    region = picture[y0:y1, x0:x1]
    if shadows:
        _shade(region, cover, drop, shadows)
    _blend(region, np.asarray(paint, dtype=np.uint8), _smeared(cover, placed.smear))
    return box, np.asarray(cover > 127, dtype=np.bool_)


def _blend(region: Picture, paint: Picture, cover: NDArray[np.uint8]) -> None:
    weight = cv2.merge([cover] * 3)
    mixed = cv2.add(
        cv2.multiply(paint, weight, scale=1 / 255),
        cv2.multiply(region, cv2.bitwise_not(weight), scale=1 / 255),
    )
    region[:] = mixed


def _shade(region: Picture, cover: NDArray[np.uint8], drop: float, darkness: float) -> None:
    """A soft shadow below and to the right."""
    soft = max(int(drop) | 1, 3)
    shift = np.array([[1, 0, 0.4 * drop], [0, 1, 0.7 * drop]])
    shadow = cv2.blur(cv2.warpAffine(cover, shift, cover.shape[::-1]), (soft, soft))
    left = cv2.convertScaleAbs(shadow, alpha=-darkness, beta=0)
    region[:] = cv2.multiply(region, cv2.merge([cv2.bitwise_not(left)] * 3), scale=1 / 255)


def _smeared(cover: NDArray[np.uint8], smear: tuple[float, float]) -> NDArray[np.uint8]:
    length = math.hypot(*smear)
    if length < 2:
        return cover
    side = 2 * math.ceil(length / 2) + 1
    kernel = np.zeros((side, side), dtype=np.float32)
    middle = np.array([side // 2, side // 2])
    start, end = (middle + sign * np.array(smear) / 2 for sign in (-1, 1))
    cv2.line(kernel, _point(start), _point(end), 1.0, lineType=cv2.LINE_AA)
    return np.asarray(
        cv2.filter2D(cover, -1, kernel / kernel.sum(), borderType=cv2.BORDER_CONSTANT), dtype=np.uint8
    )


def _point(place: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(place[0])), round(float(place[1]))


def _clip_box(hull: NDArray[np.float64], size: Sequence[int], margin: int) -> Box:
    """Around the hull and a margin, within the picture; empty where they do not meet."""
    low, high = np.floor(hull.min(axis=0)) - margin, np.ceil(hull.max(axis=0)) + margin
    x0, y0 = min(max(int(low[0]), 0), size[1]), min(max(int(low[1]), 0), size[0])
    x1, y1 = max(min(int(high[0]), size[1]), x0), max(min(int(high[1]), size[0]), y0)
    return (x0, y0, x1, y1)
