"""One moment of a scene: everything painted from back to front, and who is seen where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.training.world.camera import Affine, Camera, Picture
from lab.training.world.catalogue import Thing
from lab.training.world.deformation import STIFF, Bend, bent
from lab.training.world.motion import Path, Pose
from lab.training.world.sprites import REACH, Sprite

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
    motion: Path
    size: float
    "Diameter in picture heights at scale 1."
    stretch: tuple[float, float] = (1.0, 1.0)
    "Across and down, of its own shape."
    turns: bool = False
    "Whether it is mirrored while it goes left."
    bend: Bend = STIFF


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
    owners: NDArray[np.uint8]
    "(H, W) whose pixel it is: 1 + index of the actor, 0 the ground's."
    named: tuple[int, ...]
    "Indices of the actors that are the N things."
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

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(N, H, W) the visible part of each thing."""
        return owned(self.owners, self.named)


def owned(owners: NDArray[np.uint8], named: tuple[int, ...]) -> NDArray[np.bool_]:
    """(..., N, H, W): which of the pixels (..., H, W) are whose."""
    numbers = np.array([1 + index for index in named], dtype=np.uint8)
    return np.asarray(owners[..., None, :, :] == numbers[:, None, None])


def shoot(stage: Stage, moment: float) -> Still:
    """The stage `moment` seconds from its beginning."""
    named = tuple(index for index, actor in enumerate(stage.actors) if actor.thing is not None)
    still = _blank(_ground(stage, moment), named)
    for index, actor in enumerate(stage.actors):
        placed = _placed(actor, stage, moment)
        box = _clip_box(placed, still.owners.shape)
        taken = np.zeros(index + 1, dtype=np.float32)
        if box[0] < box[2] and box[1] < box[3]:
            cover = _paint(placed, box, still.picture, stage.shadows)
            taken = _own(still.owners, box, cover, index)
        if index in named:
            _measure(still, named.index(index), placed, taken)
    return still


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """An actor where the picture has it."""

    actor: Actor
    sprite: Sprite
    "As it is bent at this moment."
    place: Affine
    "From unit space to pixels."
    bounds: tuple[float, float, float, float]
    "x0, y0, x1, y1 around its silhouette, pixels."
    path: tuple[float, float]
    "Its centre, had the camera not moved, pixels."
    smear: tuple[float, float]
    "How far it goes while the shutter is open, pixels."


def _blank(picture: Picture, named: tuple[int, ...]) -> Still:
    def zeros(*shape: int) -> NDArray[np.float32]:
        return np.zeros(shape, dtype=np.float32)

    owners, count = np.zeros(picture.shape[:2], dtype=np.uint8), len(named)
    truth = zeros(count), zeros(count, count), zeros(count, 2), zeros(count, 4), zeros(count, 2)
    return Still(picture, owners, named, *truth)


def _measure(still: Still, index: int, placed: _Placed, taken: NDArray[np.float32]) -> None:
    """Write down the thing of that index, which took so many pixels from each owner so far."""
    (a, b, _), (c, d, _) = placed.place.tolist()
    x0, y0, x1, y1 = placed.bounds
    still.whole_px[index] = placed.sprite.area * abs(a * d - b * c)
    still.boxes[index] = placed.bounds
    still.centres[index] = ((x0 + x1) / 2, (y0 + y1) / 2)
    still.paths[index] = placed.path
    still.covered_px[:index, index] = [taken[1 + other] for other in still.named[:index]]


def _own(owners: NDArray[np.uint8], box: Box, cover: NDArray[np.uint8], index: int) -> NDArray[np.float32]:
    """Give what is mostly covered to the actor of that index, the foremost so far; returns from which owner
    it took how many pixels, (1 + index,)."""
    x0, y0, x1, y1 = box
    region = owners[y0:y1, x0:x1]
    _, mine = cv2.threshold(cover, 127, 1 + index, cv2.THRESH_BINARY)
    taken = cv2.calcHist([region], [0], mine, [1 + index], [0, 1 + index])
    cv2.max(region, mine, dst=region)
    return np.asarray(taken[:, 0], dtype=np.float32)


def _ground(stage: Stage, moment: float) -> Picture:
    near, x, y = stage.camera.view(moment)
    if (near, x, y) == (1.0, 0.0, 0.0):
        return stage.ground.copy()
    height, width = stage.ground.shape[:2]
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
    across, down = width / stage.aspect, float(height)
    pose = actor.motion.at(moment)
    place = np.array([[across], [down]]) * _affine(actor, pose, stage, moment)
    sprite = bent(actor.sprite, actor.bend, moment)
    hull = sprite.hull @ place[:, :2].T + place[:, 2]
    bounds = (*hull.min(axis=0).tolist(), *hull.max(axis=0).tolist())
    smear = (0.0, 0.0)
    if stage.camera.shutter:
        then = actor.motion.at(moment + EXPOSURE_S)
        open_for = stage.camera.shutter
        smear = (open_for * across * (then.x - pose.x), open_for * down * (then.y - pose.y))
    return _Placed(actor, sprite, place, bounds, (across * pose.x, down * pose.y), smear)


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


def _paint(placed: _Placed, box: Box, picture: Picture, shadows: float) -> NDArray[np.uint8]:
    """Paint the actor where it falls into the box, which is not empty; returns how much of each pixel it
    covers there, 0..255, as if it stood still."""
    x0, y0, x1, y1 = box
    sprite = placed.sprite
    unit_px = sprite.pixels.shape[0] / (2 * REACH)
    window = placed.place.copy()
    # A sprite's pixel p lies at (p + 0.5) / unit_px - REACH; a picture's pixel q is centred on q + 0.5.
    window[:, 2] += window[:, :2].sum(axis=1) * (0.5 / unit_px - REACH) - (0.5 + x0, 0.5 + y0)
    window[:, :2] /= unit_px
    seen = cv2.warpAffine(sprite.pixels, window, (x1 - x0, y1 - y0), borderMode=cv2.BORDER_REPLICATE)
    cover = np.asarray(cv2.extractChannel(seen, 3), dtype=np.uint8)
    if shadows:
        _shade(picture, box, cover, drop=0.1 * placed.actor.size * picture.shape[0], darkness=shadows)
    paint = np.asarray(cv2.cvtColor(seen, cv2.COLOR_RGBA2RGB), dtype=np.uint8)
    _blend(picture[y0:y1, x0:x1], paint, _smeared(cover, placed.smear))
    return cover


def _blend(region: Picture, paint: Picture, cover: NDArray[np.uint8]) -> None:
    weight = cv2.merge([cover] * 3)
    mine = cv2.multiply(paint, weight, scale=1 / 255)
    theirs = cv2.multiply(region, cv2.bitwise_not(weight), scale=1 / 255)
    cv2.add(mine, theirs, dst=region)


def _shade(picture: Picture, box: Box, cover: NDArray[np.uint8], *, drop: float, darkness: float) -> None:
    """A soft shadow below and to the right of what covers the box."""
    reach = max(int(drop) // 2, 1)
    around = cv2.copyMakeBorder(cover, reach, reach, reach, reach, cv2.BORDER_CONSTANT)
    soft = cv2.blur(around, (2 * reach + 1, 2 * reach + 1))
    left = cv2.bitwise_not(cv2.convertScaleAbs(soft, alpha=darkness))
    x0, y0 = box[0] - reach + round(0.4 * drop), box[1] - reach + round(0.7 * drop)
    x, y = max(x0, 0), max(y0, 0)
    region = picture[y : y0 + left.shape[0], x : x0 + left.shape[1]]
    if region.size:
        left = left[y - y0 : y - y0 + region.shape[0], x - x0 : x - x0 + region.shape[1]]
        cv2.multiply(region, cv2.merge([left] * 3), dst=region, scale=1 / 255)


def _smeared(cover: NDArray[np.uint8], smear: tuple[float, float]) -> NDArray[np.uint8]:
    if math.hypot(*smear) < 2:
        return cover
    # No wider than it has to be: OpenCV goes through frequencies from 130 weights on, at ten times the cost.
    reach = [math.ceil(abs(way) / 2) for way in smear]
    kernel = np.zeros((2 * reach[1] + 1, 2 * reach[0] + 1), dtype=np.float32)
    start, end = (
        [round(middle + sign * way / 2) for middle, way in zip(reach, smear, strict=True)] for sign in (-1, 1)
    )
    cv2.line(kernel, start, end, 1.0, lineType=cv2.LINE_AA)
    blurred = cv2.filter2D(cover, -1, kernel / kernel.sum(), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, dtype=np.uint8)


def _clip_box(placed: _Placed, size: Sequence[int]) -> Box:
    """Around the hull and a margin, within the picture; empty where they do not meet."""
    margin = 2 + math.ceil(math.hypot(*placed.smear) / 2)
    left, top, right, bottom = placed.bounds
    x0, x1 = math.floor(left) - margin, math.ceil(right) + margin
    y0, y1 = math.floor(top) - margin, math.ceil(bottom) + margin
    return max(x0, 0), max(y0, 0), min(x1, size[1]), min(y1, size[0])
