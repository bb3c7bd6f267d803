"""Random views of labelled photographs for training, and whole photographs for evaluation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from lab.training.language.frame_facts import random_name
from lab.training.language.photo_facts import has_sure_names
from lab.training.language.photo_nouns import choose_nouns
from lab.training.language.real_names import GARMENTS, WORN, canonical
from lab.training.scene_description import PhotoDescription
from lab.training.world.camera import Affine, Image
from lab.training.world.photo_pasting import CutOutShelf
from lab.training.world.photo_views import (
    PhotoView,
    labelled_by_source,
    side_by_side,
    view_of,
    with_nouns,
)
from lab.training.world.photographs import Photograph, load_photographs
from streaming.errors import NotFound

PAIR_SHARE: Final = 0.25
"Share of samples that show two photographs side by side ..."
DRESSED_PAIR_SHARE: Final = 0.6
"... and of those with clothes: the only ones in which clothes tell people apart."
PASTED_SHARE: Final = 0.4
"Share of samples with cut-outs of other photographs in front."
WHOLE_SHARE: Final = 0.25
"Share of views that show the whole photograph."
BY_CATEGORY_SHARE: Final = 0.35
"""Share of photographs drawn by category, each as the square root of its photographs; else all are equally
likely. By category alone, half of the samples were of the 400 photographs with COCO's rare names."""
WORN_WEIGHT: Final = 0.25
"Garments are sampled so much less often than other categories of as many photographs."
ABSENT_NAMES: Final = 10
"Categories of other photographs that texts about a view may call absent."
_LEAST_CROP: Final = 0.45
_ASPECTS: Final = (1.0, 4 / 3, 4 / 3, 3 / 2, 16 / 9, 16 / 9, 3 / 4)
_TRIES: Final = 20
_CROPS: Final = 3
"Crops of a dressed person that are tried for one without other people, whose clothes nobody annotated."


class PhotoSampler:
    """Labelled photographs, and random views of them. Holds annotations; pixels are read when needed."""

    def __init__(self, photographs: Sequence[Photograph], of_all: Sequence[Photograph] = ()) -> None:
        """`of_all`: photographs that tell what sources annotate; `photographs` themselves if left out.

        Raises NotFound where no photograph has an object with a name.
        """
        self.photographs = tuple(photographs)
        self._labelled = labelled_by_source(of_all or photographs)
        self._shelf = CutOutShelf(self.photographs)
        self._names = [_names_in(photograph) for photograph in self.photographs]
        by_category: defaultdict[str, list[int]] = defaultdict(list)
        for index, names in enumerate(self._names):
            for name in names:
                by_category[name].append(index)
        if not by_category:
            raise NotFound("No photograph has an object with a name that texts use.")
        self._by_category = list(by_category.values())
        weights = np.array(
            [
                len(indices) ** 0.5 * (WORN_WEIGHT if category in WORN else 1.0)
                for category, indices in by_category.items()
            ]
        )
        self._cumulative = np.cumsum(weights / weights.sum())

    def draw(self, seed: int, side_px: int) -> PhotoView:
        """Draw the square view of a seed."""
        rng = np.random.default_rng((seed, 7))
        for _ in range(_TRIES):
            photograph = self._photograph(rng)
            dressed = bool(photograph.labelled & set(GARMENTS))
            if rng.random() < (DRESSED_PAIR_SHARE if dressed else PAIR_SHARE):
                view = self._pair(photograph, dressed, side_px, rng)
            else:
                aspect = float(rng.choice(_ASPECTS))
                view = self._crop(photograph, (side_px, side_px), aspect, rng)
            if view is not None:
                if rng.random() < PASTED_SHARE:
                    view = self._shelf.paste_some(view, rng)
                view = with_nouns(view, self._nouns(view, rng))
                if has_sure_names(view):
                    return replace(view, frames=_degraded(view.frames[0], rng)[None])
        raise NotFound("Views of these photographs show no object that can be named for certain.")

    def pair(self, left: Photograph, right: Photograph, rng: np.random.Generator) -> PhotoView | None:
        """Describe two photographs side by side, at the height of the first; None where one has no names."""
        views = []
        for each in (left, right):
            scale = left.size[0] / each.size[0]
            size = (left.size[0], round(each.size[1] * scale))
            view = view_of(each, np.array([[scale, 0, 0], [0, scale, 0.0]]), size, self._labelled)
            if view is None:
                return None
            views.append(view)
        joined = side_by_side(*views)
        return with_nouns(joined, self._nouns(joined, rng))

    def whole(self, photograph: Photograph, rng: np.random.Generator) -> PhotoView | None:
        """Describe a photograph as it is; None where nothing in it has a name."""
        identity = np.array([[1.0, 0, 0], [0, 1.0, 0]])
        view = view_of(photograph, identity, photograph.size, self._labelled)
        return None if view is None else with_nouns(view, self._nouns(view, rng))

    def _nouns(self, view: PhotoDescription, rng: np.random.Generator) -> tuple[str, ...]:
        # As often as they are shown, so that no noun is mostly absent.
        names = [self._names[self._index(rng)] for _ in range(ABSENT_NAMES)]
        absent = [random_name(each, rng) for each in names if each]
        return choose_nouns(view, absent, rng)

    def _pair(
        self, photograph: Photograph, dressed: bool, side_px: int, rng: np.random.Generator
    ) -> PhotoView | None:
        other = self._photograph(rng)
        while dressed and not other.labelled & set(GARMENTS):
            other = self._photograph(rng)
        width = round(side_px * float(rng.uniform(0.4, 0.6)))
        aspect = float(rng.choice(_ASPECTS[:-1]))
        views = [
            self._crop(each, (side_px, part), aspect * part / side_px, rng)
            for each, part in ((photograph, width), (other, side_px - width))
        ]
        if views[0] is None or views[1] is None:
            return None
        return side_by_side(views[0], views[1])

    def _crop(
        self, photograph: Photograph, size: tuple[int, int], aspect: float, rng: np.random.Generator
    ) -> PhotoView | None:
        view = None
        for _ in range(_CROPS if photograph.labelled & set(GARMENTS) else 1):
            crop = _random_crop(photograph.size, size, aspect, rng)
            view = view_of(photograph, crop, size, self._labelled)
            if view is not None and "person" not in view.doubted:
                break
        return view

    def _photograph(self, rng: np.random.Generator) -> Photograph:
        return self.photographs[self._index(rng)]

    def _index(self, rng: np.random.Generator) -> int:
        """Draw a photograph: any, or one with an object of a category that is drawn first."""
        if rng.random() >= BY_CATEGORY_SHARE:
            return int(rng.integers(len(self.photographs)))
        category = int(np.searchsorted(self._cumulative, rng.random()))
        indices = self._by_category[min(category, len(self._by_category) - 1)]
        return indices[int(rng.integers(len(indices)))]


@cache
def load_sampler(folder: Path, split: str) -> PhotoSampler:
    """Load the photographs of a folder's split, once a process. Raises NotFound where there are none."""
    photographs = {name: load_photographs(folder, name) for name in ("train", "val")}
    return PhotoSampler(photographs[split], (*photographs["train"], *photographs["val"]))


def _names_in(photograph: Photograph) -> tuple[str, ...]:
    named = (canonical(mask.category) for mask in photograph.masks)
    return tuple(dict.fromkeys(name for name in named if name))


def _random_crop(
    photograph: tuple[int, int], size: tuple[int, int], aspect: float, rng: np.random.Generator
) -> Affine:
    """Return the transform to a crop of that width over height, squeezed to `size`; half are mirrored."""
    height, width = photograph
    share = 1.0 if rng.random() < WHOLE_SHARE else rng.uniform(_LEAST_CROP, 1.0)
    if rng.random() < WHOLE_SHARE:
        aspect = width / height
    crop_height = min(height, width / aspect) * share
    crop_width = crop_height * aspect
    x, y = rng.random() * (width - crop_width), rng.random() * (height - crop_height)
    scale_x, scale_y = size[1] / crop_width, size[0] / crop_height
    transform = np.array([[scale_x, 0, -x * scale_x], [0, scale_y, -y * scale_y]])
    if rng.random() < 0.5:
        transform[0] = (-transform[0, 0], 0, size[1] - transform[0, 2])
    return transform


def _degraded(image: Image, rng: np.random.Generator) -> Image:
    """Change exposure and contrast a little, sometimes blur it, add noise or compress it."""
    gain, offset = rng.uniform(0.75, 1.2), rng.uniform(-18, 18)
    changed = cv2.convertScaleAbs(np.maximum(image * gain + offset, 0))
    if rng.random() < 0.3:
        changed = cv2.GaussianBlur(changed, (0, 0), float(rng.uniform(0.4, 1.4)))
    if rng.random() < 0.25:
        noise = rng.normal(0, float(rng.uniform(2, 9)), changed.shape)
        changed = np.clip(changed + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        _, encoded = cv2.imencode(".jpg", changed[..., ::-1], quality)
        changed = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return np.ascontiguousarray(changed)
