"""Scenes of photographs: cut-outs that move before a photograph, and whole photographs under a moving camera.

A composed scene has one to four cut-outs, often of one category, before the crop of another photograph, with
the motions, deformations, shadows and cameras of the drawn world. A photographed scene is a crop of one
photograph in which its own annotated objects are sprites in their places: the camera moves over all of them,
some move by themselves, and sometimes a cut-out passes in front.

Both are rendered by `rendering.render_frame`, so masks, occlusion and motion are exact but for the outlines
of the annotations. A scene is a function of the seed and of the photographs.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.training.scene_description import ObjectLabel
from lab.training.world.camera import Affine, Camera, Image
from lab.training.world.cutouts import cut_out, mirrored, sprite_of
from lab.training.world.deformation import RIGID, Deformation, draw_deformation
from lab.training.world.motion import draw_motion
from lab.training.world.photographs import MaskAnnotation, Photograph, borders_touched
from lab.training.world.rendering import Scene, SceneObject
from lab.training.world.sprites import SPRITE_EXTENT, Sprite, apply_shading, side_shading
from streaming.errors import NotFound

ANY_COLOUR: Final = "any"
"Colour of labels: photographs are annotated by category alone."
WHOLE_SHARE: Final = 0.35
"Share of scenes that are whole photographs."
PARTS: Final = frozenset(
    ("skin", "hair", "shoes", "socks", "belt", "accessories", "stockings", "tights", "sunglasses")
) | frozenset(("glasses", "bracelet", "necklace", "watch", "ring", "earrings", "wedges"))
"Categories whose masks are too small or too scattered for a cut-out."
_MIN_AREA_PX: Final = 900
_MIN_SIDE_PX: Final = 20
_MIN_FILL: Final = 0.2
"Least share of its box that a cut-out fills."
_MIN_VISIBLE: Final = 0.004
"Least share of the crop that an object of a photographed scene covers."
_SPRITE_SIDE: Final = (40, 420)
_ASPECTS: Final = (1.0, 4 / 3, 16 / 9)
_MOTIONS: Final = ("static", "drift", "drift", "leave", "curve", "curve", "halt", "approach", "approach")


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """An object that can be cut out of a photograph."""

    photograph: Photograph
    annotation: MaskAnnotation


class PhotoWorld:
    """Photographs, ready to compose scenes of. Holds annotations; images are read when a scene needs them."""

    def __init__(self, photographs: Sequence[Photograph]) -> None:
        """Raises NotFound where no photograph has an object that can be cut out."""
        self.photographs = tuple(photographs)
        self.cut_outs = tuple(
            CutOut(photograph, annotation)
            for photograph in self.photographs
            for annotation in photograph.masks
            if can_be_cut_out(annotation, photograph.size)
        )
        if not self.cut_outs:
            raise NotFound(
                "No photograph has an object that can be cut out.",
                remedy="Masks of split `train` should cover 900 pixels or more.",
            )
        self._by_category: defaultdict[str, list[int]] = defaultdict(list)
        for index, found in enumerate(self.cut_outs):
            self._by_category[found.annotation.category].append(index)
        # By the square root of a category's size: rare ones are seen often, and not always the same object.
        counts = [len(self._by_category[found.annotation.category]) for found in self.cut_outs]
        weights = 1 / np.sqrt(counts)
        self._cumulative = np.cumsum(weights / weights.sum())

    def compose(self, size: tuple[int, int], rng: np.random.Generator) -> Scene:
        """Compose a random scene; `size` is (height, width) of its frames in pixels."""
        if rng.random() < WHOLE_SHARE:
            scene = self._photographed_scene(size, rng)
            if scene is not None:
                return scene
        return self._composed_scene(size, rng)

    def _composed_scene(self, size: tuple[int, int], rng: np.random.Generator) -> Scene:
        aspect = float(rng.choice(_ASPECTS))
        background, _ = _random_crop(self._photograph(rng).read(), size, 0.45, rng)
        objects: list[SceneObject] = []
        first: CutOut | None = None
        for index in range(int(rng.integers(1, 5))):
            found = self._pick(first, rng)
            span = (0.35, 1.1) if index == 0 else (0.15, 1.0)
            diameter = float(np.exp(rng.uniform(*np.log(span))))
            obj = _moving_object(found, diameter, aspect, size[0], rng)
            if obj is not None:
                objects.append(obj)
                first = first or found
        order = rng.permutation(len(objects))
        shadows = float(rng.choice((0.0, 0.0, 0.2, 0.45)))
        return Scene(
            tuple(objects[index] for index in order), background, aspect, draw_photo_camera(rng), shadows
        )

    def _photographed_scene(self, size: tuple[int, int], rng: np.random.Generator) -> Scene | None:
        photograph = self._photograph(rng)
        aspect = float(rng.choice(_ASPECTS))
        crop, transform = _random_crop(photograph.read(), size, 0.55, rng)
        objects = _objects_in_place(photograph, crop, transform, aspect, rng)
        if not objects:
            return None
        if rng.random() < 0.5:
            passing = _moving_object(
                self._pick(None, rng), float(rng.uniform(0.15, 0.8)), aspect, size[0], rng
            )
            if passing is not None:
                objects.append(passing if rng.random() < 0.5 else replace(passing, label=None))
        return Scene(tuple(objects), crop, aspect, draw_photo_camera(rng))

    def _photograph(self, rng: np.random.Generator) -> Photograph:
        return self.photographs[int(rng.integers(len(self.photographs)))]

    def _pick(self, first: CutOut | None, rng: np.random.Generator) -> CutOut:
        """Pick any cut-out, or a distractor: the first one again, or another of its category."""
        if first is not None and rng.random() < 0.35:
            if rng.random() < 0.4:
                return first
            same = self._by_category[first.annotation.category]
            return self.cut_outs[same[int(rng.integers(len(same)))]]
        index = int(np.searchsorted(self._cumulative, rng.random()))
        return self.cut_outs[min(index, len(self.cut_outs) - 1)]


def draw_photo_camera(rng: np.random.Generator) -> Camera:
    """Draw a hand-held camera: it pans further and zooms more than that of the drawn world."""

    def chance(probability: float) -> bool:
        return bool(rng.random() < probability)

    return Camera(
        gain=float(rng.uniform(0.8, 1.15)),
        brightness=float(rng.uniform(-10, 12)),
        blur_sigma_px=float(rng.uniform(0.4, 1.3)) if chance(0.4) else 0.0,
        noise=int(rng.integers(1, 4)) if chance(0.3) else 0,
        jpeg_quality=int(rng.integers(25, 90)) if chance(0.5) else 0,
        pan=(float(rng.uniform(-0.5, 0.5)), float(rng.uniform(-0.15, 0.15))) if chance(0.65) else (0.0, 0.0),
        zoom=float(rng.uniform(-0.25, 0.4)) if chance(0.4) else 0.0,
        shake=float(rng.uniform(0.002, 0.015)) if chance(0.4) else 0.0,
        flicker=float(rng.uniform(0.05, 0.2)) if chance(0.25) else 0.0,
        shutter=float(rng.uniform(0.3, 1.5)) if chance(0.5) else 0.0,
        resolution=float(rng.uniform(0.5, 0.9)) if chance(0.3) else 1.0,
        rate_rad_s=float(rng.uniform(0.6, 1.8)),
    )


def can_be_cut_out(annotation: MaskAnnotation, size: tuple[int, int]) -> bool:
    _, _, width, height = annotation.box_px
    return (
        annotation.category not in PARTS
        and annotation.area_px >= _MIN_AREA_PX
        and min(width, height) >= _MIN_SIDE_PX
        and annotation.area_px >= _MIN_FILL * width * height
        and borders_touched(annotation, size) <= 2
    )


def _moving_object(
    found: CutOut, diameter: float, aspect: float, height: int, rng: np.random.Generator
) -> SceneObject | None:
    """Make an object of `diameter` image heights that moves through an image of `height` pixels."""
    place = (float(rng.uniform(0.1, 0.9)) * aspect, float(rng.uniform(0.15, 0.85)))
    tilt = 0.5 if rng.random() < 0.5 else 0.1
    path = draw_motion(str(rng.choice(_MOTIONS)), rng, start=place, size=diameter, aspect=aspect, tilt=tilt)
    side = _sprite_side(diameter * height * math.sqrt(path.greatest_scale))
    mask = found.photograph.read_mask(found.annotation)
    sprite = cut_out(found.photograph.read(), mask, side, float(rng.uniform(0.5, 1.4)))
    if sprite is None:
        return None
    sprite = _vary(sprite, rng)
    stretch = (float(rng.uniform(0.85, 1.15)), float(rng.uniform(0.85, 1.15)))
    deformation = draw_deformation(rng) if rng.random() < 0.5 else RIGID
    return SceneObject(_label(found.annotation), sprite, path, diameter, stretch, deformation=deformation)


def _objects_in_place(
    photograph: Photograph, crop: Image, transform: Affine, aspect: float, rng: np.random.Generator
) -> list[SceneObject]:
    """Make sprites of a photograph's objects where its crop shows them; no two overlap much."""
    height, width = crop.shape[:2]
    taken = np.zeros((height, width), np.uint8)
    objects = []
    for index in rng.permutation(len(photograph.masks))[:6]:
        annotation = photograph.masks[int(index)]
        soft = cv2.warpAffine(photograph.read_mask(annotation) * 255, transform, (width, height))
        mask = (soft > 127).astype(np.uint8)
        area = int(mask.sum())
        if area < _MIN_VISIBLE * height * width or int((mask & taken).sum()) > 0.1 * area:
            continue
        obj = _object_in_place(annotation, crop, np.asarray(soft, np.uint8), aspect, rng)
        if obj is not None:
            taken |= mask
            objects.append(obj)
    return objects


def _object_in_place(
    annotation: MaskAnnotation, crop: Image, alpha: NDArray[np.uint8], aspect: float, rng: np.random.Generator
) -> SceneObject | None:
    height, width = crop.shape[:2]
    x, y, box_width, box_height = cv2.boundingRect((alpha > 127).astype(np.uint8))
    length, centre = max(box_width, box_height), (x + box_width / 2, y + box_height / 2)
    side = _sprite_side(length)
    scale = side / SPRITE_EXTENT / length
    transform = np.array([[scale, 0, side / 2 - scale * centre[0]], [0, scale, side / 2 - scale * centre[1]]])
    rgb = cv2.warpAffine(crop, transform, (side, side), borderMode=cv2.BORDER_REFLECT)
    sprite = sprite_of(
        np.asarray(rgb, np.uint8), np.asarray(cv2.warpAffine(alpha, transform, (side, side)), np.uint8)
    )
    if sprite is None:
        return None
    start, size = (centre[0] / width * aspect, centre[1] / height), length / height
    manner = str(rng.choice(("drift", "curve", "approach"))) if rng.random() < 0.35 else "static"
    path = draw_motion(manner, rng, start=start, size=size, aspect=aspect, tilt=0.0)
    # Slow, and free to leave: a fast object would uncover its copy in the background at once.
    velocity = (0.4 * path.velocity[0], 0.4 * path.velocity[1])
    path = replace(path, velocity=velocity, bounds=(-1.0, -1.0, aspect + 1, 2.0))
    # A sprite is square in world units, its pixels are square in the crop.
    stretch = (aspect * height / width, 1.0)
    deformation = _gentle(draw_deformation(rng)) if rng.random() < 0.5 else RIGID
    return SceneObject(_label(annotation), sprite, path, size, stretch, deformation=deformation)


def _gentle(deformation: Deformation) -> Deformation:
    """Return a third of the deformation."""
    waves = (
        replace(wave, amplitude=(wave.amplitude[0] / 3, wave.amplitude[1] / 3)) for wave in deformation.waves
    )
    return Deformation(tuple(waves))


def _vary(sprite: Sprite, rng: np.random.Generator) -> Sprite:
    """Change brightness, sometimes hue and saturation, shading and side of a cut-out."""
    gain, offset = 1 + rng.uniform(-0.3, 0.3), rng.uniform(-25, 25)
    rgb = cv2.convertScaleAbs(np.maximum(sprite.rgb * gain + offset, 0))
    if rng.random() < 0.3:
        hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(np.int16)
        hsv[..., 0] = (hsv[..., 0] + int(rng.integers(-12, 13))) % 180
        hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.5, 1.4), 0, 255)
        rgb = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    varied = replace(sprite, pixels=np.dstack([rgb, sprite.alpha]))
    if rng.random() < 0.5:
        varied = mirrored(varied)
    if rng.random() < 0.4:
        ends = (float(rng.uniform(0.7, 1.15)), float(rng.uniform(0.7, 1.15)))
        varied = apply_shading(varied, side_shading(ends))
    return varied


def _random_crop(
    image: Image, size: tuple[int, int], least: float, rng: np.random.Generator
) -> tuple[Image, Affine]:
    """Crop at least that share of an image's sides, squeeze it to `size`, mirror every other one.

    Returns the crop and the transform from the image's pixels to the crop's.
    """
    height, width = image.shape[:2]
    share, aspect = rng.uniform(least, 1.0), float(rng.choice(_ASPECTS))
    crop_height = min(height, width / aspect) * share
    crop_width = crop_height * aspect
    x, y = rng.uniform(0, width - crop_width), rng.uniform(0, height - crop_height)
    scale_x, scale_y = size[1] / crop_width, size[0] / crop_height
    transform = np.array([[scale_x, 0, -x * scale_x], [0, scale_y, -y * scale_y]])
    if rng.random() < 0.5:
        transform[0] = (-transform[0, 0], 0, size[1] - transform[0, 2])
    cropped = cv2.warpAffine(image, transform, (size[1], size[0]), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(cropped, np.uint8), transform


def _sprite_side(diameter_px: float) -> int:
    return int(np.clip(math.ceil(diameter_px * SPRITE_EXTENT), *_SPRITE_SIDE))


def _label(annotation: MaskAnnotation) -> ObjectLabel:
    return ObjectLabel(annotation.category, ANY_COLOUR)
