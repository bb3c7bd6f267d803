"""Images of photographs with dense labels: which names cover how much of every cell, and where that is known.

Sizes: B images of side S, a grid of G x G cells, L names (`names_of`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.training.world.camera import Image
from lab.training.world.photographs import Photograph, warp_image

_PIXELS_PER_CELL: Final = 4
"Masks are drawn at this many pixels a cell and averaged."
_LEAST_AREA: Final = 0.25
"Least share of a photograph that a training image shows."
_MOSAIC: Final = 0.25
"Share of training images that are mosaics of 2 x 2 or 3 x 3 photographs, whose objects are small."
_INSIDE: Final = 0.6
"A cell is known to be of a name whose mask covers more than this share of it, also if others are unlabelled."


_T = TypeVar("_T", bound=np.generic)
_Labelled = tuple[Image, NDArray[np.float32], NDArray[np.bool_]]
"An image, its coverage and where that is known, as in `LabelledImages`."


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """A batch of images with dense labels."""

    images: NDArray[np.uint8]
    "(B, S, S, 3) RGB."
    coverage: Tensor
    "(B, L, G, G) float32, 0..1: share of each cell that objects of a name cover."
    known: Tensor
    "(B, L, G, G) bool: where it is known; in crowds of a name on its masks only, nowhere in `ignore`."


def names_of(photographs: Sequence[Photograph]) -> tuple[str, ...]:
    """Return all names that masks or crowds have or that are labelled, sorted."""
    found = {mask.category for one in photographs for mask in (*one.masks, *one.crowds)}
    return tuple(sorted(found.union(*(photograph.labelled for photograph in photographs))))


class PhotoLabeller:
    """Makes labelled images of photographs."""

    def __init__(self, names: Sequence[str], side: int, grid: int) -> None:
        self._index = {name: index for index, name in enumerate(names)}
        self._side, self._grid = side, grid

    def augmented(self, photographs: Sequence[Photograph], rng: np.random.Generator) -> LabelledImages:
        """Make a random crop of each, some of them in a mosaic with others, with random colours."""
        parts = []
        for photograph in photographs:
            tiles = int(rng.integers(2, 4)) if rng.random() < _MOSAIC else 1
            others = rng.integers(len(photographs), size=tiles**2 - 1)
            shown = [photograph, *(photographs[int(index)] for index in others)]
            image, coverage, known = self._mosaic(shown, tiles, rng)
            parts.append((_vary_colours(image, rng), coverage, known))
        return _collate(parts)

    def whole(self, photographs: Sequence[Photograph]) -> LabelledImages:
        """Squeeze each to a square."""
        return _collate([self._label(one, _to_unit(one.size), 1) for one in photographs])

    def _mosaic(self, photographs: Sequence[Photograph], tiles: int, rng: np.random.Generator) -> _Labelled:
        """Lay random crops of `tiles`² photographs out in a square."""
        each = [self._label(one, _random_crop(one.size, rng), tiles) for one in photographs]
        images, coverage, known = zip(*each, strict=True)
        return (
            _tiled(images, tiles, axes=(0, 1)),
            _tiled(coverage, tiles, axes=(1, 2)),
            _tiled(known, tiles, axes=(1, 2)),
        )

    def _label(self, photograph: Photograph, to_unit: NDArray[np.float64], tiles: int) -> _Labelled:
        """Make the image and the cells of one of `tiles`² equal tiles of a square."""
        side, grid = self._side // tiles, self._grid // tiles
        image = warp_image(photograph.read(), _scaled(to_unit, side), (side, side))
        transform = _scaled(to_unit, grid * _PIXELS_PER_CELL)
        coverage = np.zeros((len(self._index), grid, grid), np.float32)
        known = np.zeros(coverage.shape, bool)
        labelled = [self._index[name] for name in photograph.labelled if name in self._index]
        known[labelled] = True
        for crowd in photograph.crowds:
            known[self._index[crowd.category]] &= _cells(photograph.read_mask(crowd), transform, grid) == 0
        for annotation in photograph.masks:
            cells = _cells(photograph.read_mask(annotation), transform, grid)
            index = self._index[annotation.category]
            coverage[index] = np.maximum(coverage[index], cells)
            known[index] |= cells > _INSIDE
        if photograph.ignore is not None:
            known &= _cells(photograph.decode(photograph.ignore), transform, grid) == 0
        return image, coverage, known


def _cells(mask: NDArray[np.uint8], transform: NDArray[np.float64], grid: int) -> NDArray[np.float32]:
    """(H, W) 0 or 1 -> (grid, grid): the share of each cell that the mask covers."""
    fine = grid * _PIXELS_PER_CELL
    warped = cv2.warpAffine(mask * 255, transform, (fine, fine))
    cells = cv2.resize(warped, (grid, grid), interpolation=cv2.INTER_AREA)
    return np.asarray(cells, np.float32) / np.float32(255)


def _tiled(parts: Sequence[NDArray[_T]], tiles: int, axes: tuple[int, int]) -> NDArray[_T]:
    """Lay tiles² arrays out in rows along two axes."""
    rows = [np.concatenate(parts[start : start + tiles], axis=axes[1]) for start in range(0, tiles**2, tiles)]
    return np.concatenate(rows, axis=axes[0])


def _collate(parts: Sequence[_Labelled]) -> LabelledImages:
    images, coverage, known = zip(*parts, strict=True)
    return LabelledImages(
        np.stack(images), torch.from_numpy(np.stack(coverage)), torch.from_numpy(np.stack(known))
    )


def _to_unit(size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the transform from pixels of (height, width) to the unit square."""
    height, width = size
    return np.array([[1 / width, 0, 0], [0, 1 / height, 0]])


def _scaled(to_unit: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    return to_unit * side


def _random_crop(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the transform of a random crop, mirrored every other time, to the unit square."""
    height, width = size
    area = rng.uniform(_LEAST_AREA, 1.0)
    aspect = np.exp(rng.uniform(-0.3, 0.3))
    crop_width, crop_height = (
        min(1.0, float(np.sqrt(area * aspect))) * width,
        min(1.0, float(np.sqrt(area / aspect))) * height,
    )
    x, y = rng.uniform(0, width - crop_width), rng.uniform(0, height - crop_height)
    transform = np.array([[1 / crop_width, 0, -x / crop_width], [0, 1 / crop_height, -y / crop_height]])
    if rng.random() < 0.5:
        transform[0] = (-transform[0, 0], 0, 1 - transform[0, 2])
    return transform


def _vary_colours(image: Image, rng: np.random.Generator) -> Image:
    """Change brightness, contrast and saturation; now and then blur or compress."""
    gain, offset = rng.uniform(0.7, 1.3), rng.uniform(-25, 25)
    varied = cv2.addWeighted(image, gain, image, 0, offset)
    if rng.random() < 0.5:
        grey = cv2.cvtColor(cv2.cvtColor(varied, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        saturation = rng.uniform(0.4, 1.4)
        varied = cv2.addWeighted(varied, saturation, grey, 1 - saturation, 0)
    if rng.random() < 0.2:
        varied = cv2.GaussianBlur(varied, (0, 0), rng.uniform(0.5, 1.5))
    if rng.random() < 0.2:
        _, encoded = cv2.imencode(".jpg", varied, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))))
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(varied, np.uint8)
