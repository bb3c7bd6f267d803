"""Paste cut-outs of other photographs into a view: more objects of a name, in every order, size and place.

Photographs seldom show several things of one name that differ for certain in size, order or colour; with
cut-outs that is as exact as in the drawn world, but for their outlines.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.training.language.real_names import GARMENTS, WORN, canonical
from lab.training.scene_description import ObjectLabel
from lab.training.world.camera import Image
from lab.training.world.cutouts import cut_out, mirrored
from lab.training.world.named_colours import UNMEASURED, measure_colour
from lab.training.world.photo_scenes import CutOut, can_be_cut_out
from lab.training.world.photo_views import COLOURLESS, PhotoView
from lab.training.world.photographs import Photograph
from lab.training.world.sprites import SPRITE_EXTENT

MAX_PASTED: Final = 3
LIKE_PROB: Final = 0.6
"Probability that a cut-out has a name that is in view already."
_SIZES: Final = (0.16, 0.6)
"Diameters of cut-outs, as shares of the view's side."
_STRETCH: Final = (0.65, 1.0)
"Of the width: views are squeezed to a square."


class CutOutShelf:
    """Cut-outs by category."""

    def __init__(self, photographs: Sequence[Photograph]) -> None:
        by_category: defaultdict[str, list[CutOut]] = defaultdict(list)
        for photograph in photographs:
            for annotation in photograph.masks:
                name = canonical(annotation.category)
                whole = annotation.instance and can_be_cut_out(annotation, photograph.size)
                if name and name not in WORN and whole:
                    by_category[name].append(CutOut(photograph, annotation))
        self._by_category = dict(sorted(by_category.items()))

    def paste_some(self, view: PhotoView, rng: np.random.Generator) -> PhotoView:
        """Paste up to MAX_PASTED cut-outs of names that are annotated exhaustively in the view."""
        allowed = [name for name in self._by_category if _may_be_added(view, name)]
        for _ in range(int(rng.integers(1, MAX_PASTED + 1)) if allowed else 0):
            there = [name for name in allowed if name in {label.category for label in view.labels}]
            names = there if there and rng.random() < LIKE_PROB else allowed
            name = names[int(rng.integers(len(names)))]
            shelf = self._by_category[name]
            view = _pasted(view, shelf[int(rng.integers(len(shelf)))], name, rng)
        return view


def _may_be_added(view: PhotoView, name: str) -> bool:
    """Whether another object of that name leaves everything else known: people would bring clothes."""
    if name == "person" and view.known & set(GARMENTS):
        return False
    return name in view.known and name not in view.doubted


def _pasted(view: PhotoView, found: CutOut, name: str, rng: np.random.Generator) -> PhotoView:
    side = view.frames.shape[1]
    diameter = float(np.exp(rng.uniform(*np.log(_SIZES)))) * side
    mask = found.photograph.read_mask(found.annotation)
    sprite = cut_out(
        found.photograph.read(), mask, math.ceil(diameter * SPRITE_EXTENT), float(rng.uniform(0.5, 1.2))
    )
    if sprite is None:
        return view
    sprite = mirrored(sprite) if rng.random() < 0.5 else sprite
    width = round(sprite.alpha.shape[0] * float(rng.uniform(*_STRETCH)))
    rgb, alpha = (cv2.resize(each, (width, each.shape[0])) for each in (sprite.rgb, sprite.alpha))
    rgb = cv2.convertScaleAbs(rgb, alpha=float(rng.uniform(0.85, 1.15)))
    corner = (rng.uniform(0.1, 0.9, 2) * side - np.array(alpha.shape) / 2).round().astype(int)
    return _with_object(view, name, (np.asarray(rgb, np.uint8), np.asarray(alpha, np.uint8)), corner)


def _with_object(
    view: PhotoView, name: str, pixels: tuple[Image, NDArray[np.uint8]], corner: NDArray[np.int_]
) -> PhotoView:
    """Return the view with an object in front: `pixels` RGB and alpha; `corner`: row, column of the first."""
    height, width = view.frames.shape[1:3]
    transform = np.array([[1.0, 0, corner[1]], [0, 1.0, corner[0]]], np.float64)
    rgb, alpha = (cv2.warpAffine(each, transform, (width, height)) for each in pixels)
    share = np.asarray(alpha, np.float32)[..., None] / 255
    frame = np.asarray(view.frames[0] * (1 - share) + rgb * share, np.uint8)
    mask = np.asarray(alpha) > 127
    colour = UNMEASURED if name in COLOURLESS else measure_colour(frame, mask)
    rows, columns = (np.flatnonzero((pixels[1] > 127).any(axis=axis)) for axis in (1, 0))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) + np.tile(corner[::-1], 2)
    boxes = np.concatenate([view.boxes_px, box[None, None].astype(np.float32)], axis=1)
    centres = np.asarray((boxes[..., :2] + boxes[..., 2:]) / 2, np.float32)
    count = len(view.labels)
    occluded = np.zeros((1, count + 1, count + 1), np.float32)
    occluded[:, :count, :count] = view.occluded_px
    occluded[0, :count, count] = np.count_nonzero(view.masks[0] & mask, axis=(1, 2))
    area = np.float32(np.count_nonzero(pixels[1] > 127))
    return replace(
        view,
        labels=(*view.labels, ObjectLabel(name, colour.name)),
        masks=np.concatenate([view.masks & ~mask, mask[None, None]], axis=1),
        amodal_area_px=np.concatenate([view.amodal_area_px, area.reshape(1, 1)], axis=1),
        occluded_px=occluded,
        centres_px=centres,
        boxes_px=boxes,
        world_centres_px=centres,
        instance=(*view.instance, True),
        excluded_colours=(*view.excluded_colours, colour.excluded),
        wearers=(*view.wearers, -1),
        frames=frame[None],
        unlabelled=view.unlabelled & ~mask,
    )
