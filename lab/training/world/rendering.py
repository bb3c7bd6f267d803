"""Rendering: one frame of a scene, painted from back to front, with exact masks, boxes and occlusion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.training.scene_description import ObjectLabel
from lab.training.world.camera import Affine, Camera, Image
from lab.training.world.deformation import RIGID, Deformation, deform
from lab.training.world.motion import Path, Pose
from lab.training.world.sprites import SPRITE_EXTENT, Sprite

EXPOSURE_S: Final = 1 / 30
"Exposure time at a shutter of 1."
Box = tuple[int, int, int, int]
"x0, y0, x1, y1 in pixels, the last ones excluded."


@dataclass(frozen=True, slots=True, eq=False)
class SceneObject:
    """A sprite with a path, or an occluder."""

    label: ObjectLabel | None
    "None: an occluder, which only occludes others and is not described."
    sprite: Sprite
    path: Path
    size: float
    "Diameter in image heights at scale 1."
    stretch: tuple[float, float] = (1.0, 1.0)
    "Factors of its width and height."
    faces_heading: bool = False
    "Whether the sprite is mirrored while the object moves left."
    deformation: Deformation = RIGID


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Everything that a clip is rendered from, but the time."""

    objects: tuple[SceneObject, ...]
    "From back to front."
    background: Image
    "(H, W, 3); its size is that of the frames."
    aspect: float
    "Width over height of the world that the image shows, whatever its size in pixels."
    camera: Camera
    shadows: float = 0.0
    "Darkness of shadows, 0..1."


@dataclass(frozen=True, slots=True, eq=False)
class RenderedFrame:
    """A clean image, and exact figures of its N labelled objects (see `SceneDescription` for conventions)."""

    image: Image
    instance_map: NDArray[np.uint8]
    "(H, W): 1 + index of the scene's object that each pixel shows; 0 is background."
    labelled: tuple[int, ...]
    "(N,): indices of the scene's objects that have a label."
    amodal_area_px: NDArray[np.float32]
    "(N,)"
    occluded_px: NDArray[np.float32]
    "(N, N): pixels of the first that the second occludes."
    centres_px: NDArray[np.float32]
    "(N, 2)"
    boxes_px: NDArray[np.float32]
    "(N, 4)"
    world_centres_px: NDArray[np.float32]
    "(N, 2)"

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(N, H, W): the visible part of each labelled object."""
        return masks_of(self.instance_map, self.labelled)


def masks_of(instance_map: NDArray[np.uint8], labelled: tuple[int, ...]) -> NDArray[np.bool_]:
    """Turn instance maps (..., H, W) into masks (..., N, H, W) of these objects."""
    numbers = np.array([1 + index for index in labelled], dtype=np.uint8)
    return np.asarray(instance_map[..., None, :, :] == numbers[:, None, None])


def render_frame(scene: Scene, time_s: float) -> RenderedFrame:
    """Render the scene `time_s` seconds after its start."""
    labelled = tuple(index for index, obj in enumerate(scene.objects) if obj.label is not None)
    frame = _empty_frame(_moved_background(scene, time_s), labelled)
    for index, obj in enumerate(scene.objects):
        placed = _place(obj, scene, time_s)
        box = _paint_box(placed, frame.instance_map.shape)
        occluded = np.zeros(index + 1, dtype=np.float32)
        if box[0] < box[2] and box[1] < box[3]:
            alpha = _paint(placed, box, frame.image, scene.shadows)
            occluded = _update_instance_map(frame.instance_map, box, alpha, index)
        if index in labelled:
            _measure(frame, labelled.index(index), placed, occluded)
    return frame


@dataclass(frozen=True, slots=True, eq=False)
class _PlacedObject:
    """An object in image coordinates."""

    obj: SceneObject
    sprite: Sprite
    "Deformed."
    transform: Affine
    "From unit space to pixels."
    bounds: tuple[float, float, float, float]
    "x0, y0, x1, y1 of the silhouette, pixels."
    world_centre: tuple[float, float]
    "x, y without motion of the camera, pixels."
    motion_blur: tuple[float, float]
    "x, y that the object moves during the exposure, pixels."


def _empty_frame(background: Image, labelled: tuple[int, ...]) -> RenderedFrame:
    def zeros(*shape: int) -> NDArray[np.float32]:
        return np.zeros(shape, dtype=np.float32)

    instance_map, count = np.zeros(background.shape[:2], dtype=np.uint8), len(labelled)
    figures = zeros(count), zeros(count, count), zeros(count, 2), zeros(count, 4), zeros(count, 2)
    return RenderedFrame(background, instance_map, labelled, *figures)


def _measure(frame: RenderedFrame, index: int, placed: _PlacedObject, occluded: NDArray[np.float32]) -> None:
    """Write the figures of a labelled object; `occluded` is what `_update_instance_map` returned for it."""
    (a, b, _), (c, d, _) = placed.transform.tolist()
    x0, y0, x1, y1 = placed.bounds
    frame.amodal_area_px[index] = placed.sprite.area * abs(a * d - b * c)
    frame.boxes_px[index] = placed.bounds
    frame.centres_px[index] = ((x0 + x1) / 2, (y0 + y1) / 2)
    frame.world_centres_px[index] = placed.world_centre
    frame.occluded_px[:index, index] = [occluded[1 + other] for other in frame.labelled[:index]]


def _update_instance_map(
    instance_map: NDArray[np.uint8], box: Box, alpha: NDArray[np.uint8], index: int
) -> NDArray[np.float32]:
    """Write the frontmost object so far where it covers more than half of a pixel.

    Returns (1 + index,): how many pixels it takes from the background and from each object behind it.
    """
    x0, y0, x1, y1 = box
    region = instance_map[y0:y1, x0:x1]
    _, mine = cv2.threshold(alpha, 127, 1 + index, cv2.THRESH_BINARY)
    taken = cv2.calcHist([region], [0], mine, [1 + index], [0, 1 + index])
    cv2.max(region, mine, dst=region)
    return np.asarray(taken[:, 0], dtype=np.float32)


def _moved_background(scene: Scene, time_s: float) -> Image:
    """Return a new image of the background as the camera sees it, mirrored beyond its edges."""
    zoom, x, y = scene.camera.zoom_and_shift(time_s)
    if (zoom, x, y) == (1.0, 0.0, 0.0):
        return scene.background.copy()
    height, width = scene.background.shape[:2]
    transform = np.array(
        [
            [zoom, 0, (1 - zoom) * width / 2 - x * width / scene.aspect],
            [0, zoom, (1 - zoom) * height / 2 - y * height],
        ]
    )
    moved = cv2.warpAffine(scene.background, transform, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.uint8)


def _place(obj: SceneObject, scene: Scene, time_s: float) -> _PlacedObject:
    height, width = scene.background.shape[:2]
    across, down = width / scene.aspect, float(height)
    pose = obj.path.pose_at(time_s)
    transform = np.array([[across], [down]]) * _unit_to_world(obj, pose, scene, time_s)
    sprite = deform(obj.sprite, obj.deformation, time_s)
    hull = sprite.hull @ transform[:, :2].T + transform[:, 2]
    bounds = (*hull.min(axis=0).tolist(), *hull.max(axis=0).tolist())
    motion_blur = (0.0, 0.0)
    if scene.camera.shutter:
        later = obj.path.pose_at(time_s + EXPOSURE_S)
        shutter = scene.camera.shutter
        motion_blur = (shutter * across * (later.x - pose.x), shutter * down * (later.y - pose.y))
    return _PlacedObject(obj, sprite, transform, bounds, (across * pose.x, down * pose.y), motion_blur)


def _unit_to_world(obj: SceneObject, pose: Pose, scene: Scene, time_s: float) -> Affine:
    """Return the transform from unit space to image heights, with the camera's motion."""
    zoom, shift_x, shift_y = scene.camera.zoom_and_shift(time_s)
    radius = 0.5 * obj.size * pose.scale * zoom
    wide = radius * obj.stretch[0] * (-1 if obj.faces_heading and pose.faces_left else 1)
    tall = radius * obj.stretch[1]
    cos, sin = math.cos(pose.angle), math.sin(pose.angle)
    x = zoom * (pose.x - scene.aspect / 2) + scene.aspect / 2 - shift_x
    y = zoom * (pose.y - 0.5) + 0.5 - shift_y
    return np.array([[cos * wide, -sin * tall, x], [sin * wide, cos * tall, y]])


def _paint(placed: _PlacedObject, box: Box, image: Image, shadows: float) -> NDArray[np.uint8]:
    """Paint the object into a box that is not empty.

    Returns its alpha there, 0..255, without motion blur.
    """
    x0, y0, x1, y1 = box
    sprite = placed.sprite
    unit_px = sprite.pixels.shape[0] / (2 * SPRITE_EXTENT)
    window = placed.transform.copy()
    # A sprite's pixel p is at (p + 0.5) / unit_px - SPRITE_EXTENT; an image's pixel q is centred on q + 0.5.
    window[:, 2] += window[:, :2].sum(axis=1) * (0.5 / unit_px - SPRITE_EXTENT) - (0.5 + x0, 0.5 + y0)
    window[:, :2] /= unit_px
    rgba = cv2.warpAffine(sprite.pixels, window, (x1 - x0, y1 - y0), borderMode=cv2.BORDER_REPLICATE)
    alpha = np.asarray(cv2.extractChannel(rgba, 3), dtype=np.uint8)
    if shadows:
        _paint_shadow(image, box, alpha, drop=0.1 * placed.obj.size * image.shape[0], darkness=shadows)
    rgb = np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), dtype=np.uint8)
    _blend(image[y0:y1, x0:x1], rgb, _motion_blurred(alpha, placed.motion_blur))
    return alpha


def _blend(region: Image, rgb: Image, alpha: NDArray[np.uint8]) -> None:
    weight = cv2.merge([alpha] * 3)
    front = cv2.multiply(rgb, weight, scale=1 / 255)
    behind = cv2.multiply(region, cv2.bitwise_not(weight), scale=1 / 255)
    cv2.add(front, behind, dst=region)


def _paint_shadow(image: Image, box: Box, alpha: NDArray[np.uint8], *, drop: float, darkness: float) -> None:
    """Darken the image softly below and to the right of the object, by `drop` pixels."""
    reach = max(int(drop) // 2, 1)
    padded = cv2.copyMakeBorder(alpha, reach, reach, reach, reach, cv2.BORDER_CONSTANT)
    soft = cv2.blur(padded, (2 * reach + 1, 2 * reach + 1))
    factor = cv2.bitwise_not(cv2.convertScaleAbs(soft, alpha=darkness))
    x0, y0 = box[0] - reach + round(0.4 * drop), box[1] - reach + round(0.7 * drop)
    x, y = max(x0, 0), max(y0, 0)
    region = image[y : y0 + factor.shape[0], x : x0 + factor.shape[1]]
    if region.size:
        factor = factor[y - y0 : y - y0 + region.shape[0], x - x0 : x - x0 + region.shape[1]]
        cv2.multiply(region, cv2.merge([factor] * 3), dst=region, scale=1 / 255)


def _motion_blurred(alpha: NDArray[np.uint8], motion: tuple[float, float]) -> NDArray[np.uint8]:
    """Blur along the motion (x, y) in pixels; below 2 pixels it would not show."""
    if math.hypot(*motion) < 2:
        return alpha
    # As small as possible: from 130 weights on, OpenCV filters by Fourier transform, ten times slower.
    reach = [math.ceil(abs(part) / 2) for part in motion]
    kernel = np.zeros((2 * reach[1] + 1, 2 * reach[0] + 1), dtype=np.float32)
    start, end = (
        [round(middle + sign * part / 2) for middle, part in zip(reach, motion, strict=True)]
        for sign in (-1, 1)
    )
    cv2.line(kernel, start, end, 1.0, lineType=cv2.LINE_AA)
    blurred = cv2.filter2D(alpha, -1, kernel / kernel.sum(), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, dtype=np.uint8)


def _paint_box(placed: _PlacedObject, size: Sequence[int]) -> Box:
    """Return the pixels that painting may touch, within the image; empty where the object is out of it."""
    margin = 2 + math.ceil(math.hypot(*placed.motion_blur) / 2)
    left, top, right, bottom = placed.bounds
    x0, x1 = math.floor(left) - margin, math.ceil(right) + margin
    y0, y1 = math.floor(top) - margin, math.ceil(bottom) + margin
    return max(x0, 0), max(y0, 0), min(x1, size[1]), min(y1, size[0])
