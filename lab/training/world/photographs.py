"""Labelled photographs: a folder of images with masks in COCO's format, read one at a time.

The folder holds `annotations.json` or `annotations.json.gz` and the images below `images/`. Beside COCO's own
fields an image may have `split` (`train` or `val`; without it every image is in every split), `labelled`
(the names that are annotated wherever they occur in it) and `ignore` (run lengths of a region whose labels
are unknown); an annotation may have `instance` (false: several objects, or a part of one). Crowd annotations
are kept apart. `detections.json.gz`, where it is there, holds what a detector found on every image:
`{image id: [[category, score, x, y, width, height], ...]}`.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from lab.training.world.camera import Affine, Image
from streaming.errors import NotFound

ANNOTATIONS: Final = ("annotations.json.gz", "annotations.json")
DETECTIONS: Final = "detections.json.gz"
MIN_SCORE: Final = 0.25
"Detections of a lower score are left out."
BoxPx = tuple[float, float, float, float]
"x, y, width, height."


@dataclass(frozen=True, slots=True, eq=False)
class MaskAnnotation:
    """One mask of a photograph."""

    category: str
    "Name of the category."
    area_px: float
    box_px: BoxPx
    segmentation: Any
    "COCO: polygons, or run lengths."
    instance: bool = True
    "Whether it is one whole object; else it may be several, or a part."


@dataclass(frozen=True, slots=True)
class Detection:
    """What a detector found."""

    category: str
    box_px: BoxPx


@dataclass(frozen=True, slots=True, eq=False)
class Photograph:
    """A photograph and its masks; pixels are read when asked for."""

    path: Path
    size: tuple[int, int]
    "(height, width) in pixels."
    source: str
    masks: tuple[MaskAnnotation, ...]
    labelled: frozenset[str]
    "Categories that are annotated wherever they occur in it."
    crowds: tuple[MaskAnnotation, ...] = ()
    "Regions of many objects of a category."
    ignore: Any = None
    "Run lengths of a region whose labels are unknown; None: there is no such region."
    detections: tuple[Detection, ...] = ()

    def read(self) -> Image:
        """Return (H, W, 3) uint8 RGB. Raises NotFound where the file cannot be read as an image."""
        bgr = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if bgr is None:
            raise NotFound(f"{self.path} cannot be read as an image.")
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def read_mask(self, annotation: MaskAnnotation) -> NDArray[np.uint8]:
        """Return (H, W) uint8, 0 or 1."""
        return self.decode(annotation.segmentation)

    def decode(self, encoded: Any) -> NDArray[np.uint8]:
        """Decode polygons or run lengths at the photograph's size: (H, W) uint8, 0 or 1."""
        if isinstance(encoded, list):
            encoded = coco_mask.merge(coco_mask.frPyObjects(encoded, *self.size))
        elif isinstance(encoded["counts"], list):
            encoded = coco_mask.frPyObjects(encoded, *self.size)
        return np.asarray(coco_mask.decode(encoded), dtype=np.uint8)


def load_photographs(folder: Path, split: str) -> tuple[Photograph, ...]:
    """List the photographs of a split, ordered by id. Raises NotFound where there are no annotations."""
    data = _load_annotations(folder)
    categories = {entry["id"]: str(entry["name"]) for entry in data["categories"]}
    masks: defaultdict[int, list[MaskAnnotation]] = defaultdict(list)
    crowds: defaultdict[int, list[MaskAnnotation]] = defaultdict(list)
    for entry in data["annotations"]:
        kept = crowds if entry.get("iscrowd") else masks
        kept[entry["image_id"]].append(_annotation(entry, categories))
    detections = _load_detections(folder)
    images = sorted(data["images"], key=lambda entry: int(entry["id"]))
    return tuple(
        Photograph(
            path=folder / "images" / entry["file_name"],
            size=(int(entry["height"]), int(entry["width"])),
            source=str(entry.get("source", "")),
            masks=tuple(masks[entry["id"]]),
            labelled=frozenset(entry.get("labelled", ())),
            crowds=tuple(crowds[entry["id"]]),
            ignore=entry.get("ignore"),
            detections=detections.get(str(entry["id"]), ()),
        )
        for entry in images
        if entry.get("split", split) == split
    )


def _load_annotations(folder: Path) -> dict[str, Any]:
    for name in ANNOTATIONS:
        path = folder / name
        if path.is_file():
            content = path.read_bytes()
            return dict(json.loads(gzip.decompress(content) if name.endswith(".gz") else content))
    raise NotFound(
        f"There are no photographs in {folder}.",
        remedy="It should hold annotations.json(.gz) in COCO's format and the folder images.",
    )


def _load_detections(folder: Path) -> dict[str, tuple[Detection, ...]]:
    path = folder / DETECTIONS
    if not path.is_file():
        return {}
    found: dict[str, list[Any]] = json.loads(gzip.decompress(path.read_bytes()))
    return {
        image: tuple(
            Detection(category, (float(x), float(y), float(width), float(height)))
            for category, score, x, y, width, height in boxes
            if score >= MIN_SCORE
        )
        for image, boxes in found.items()
    }


def _annotation(entry: dict[str, Any], categories: dict[int, str]) -> MaskAnnotation:
    x, y, width, height = (float(value) for value in entry["bbox"])
    name = categories[entry["category_id"]]
    return MaskAnnotation(
        name,
        float(entry["area"]),
        (x, y, width, height),
        entry["segmentation"],
        bool(entry.get("instance", True)),
    )


def borders_touched(annotation: MaskAnnotation, size: Sequence[int]) -> int:
    """Count the borders of an image of (height, width) that the annotation's box touches, 0 to 4."""
    x, y, width, height = annotation.box_px
    return sum((x <= 1, y <= 1, x + width >= size[1] - 1, y + height >= size[0] - 1))


def warp_image(image: Image, transform: Affine, size: tuple[int, int]) -> Image:
    """Return an image of (height, width) under a transform; beyond its borders it is mirrored."""
    # Sampling between pixels would alias where a photograph is made much smaller.
    scale = float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))
    if scale < 0.7:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.4 / scale), np.uint8)
    warped = cv2.warpAffine(
        image, transform, (size[1], size[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(warped, np.uint8)
