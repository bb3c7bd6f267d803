"""A folder of labelled photographs, made in a test: textured squares on textured backgrounds."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

Box = tuple[int, int, int, int]
SIZE = (180, 240)
BOXES = ((30, 40, 80, 90), (130, 60, 70, 80))
"x, y, width, height of the two objects of every image."


def write_photo_folder(folder: Path, images: int = 4) -> Path:
    """Write `images` images: one in four is of split `val`. Categories are `dog` and `cup`."""
    rng = np.random.default_rng(0)
    (folder / "images" / "made").mkdir(parents=True)
    data: dict[str, Any] = {
        "categories": [{"id": 18, "name": "dog"}, {"id": 47, "name": "cup"}],
        "images": [],
        "annotations": [],
    }
    for index in range(images):
        name = f"made/{index}.png"
        canvas = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        data["images"].append(
            {
                "id": index,
                "file_name": name,
                "height": SIZE[0],
                "width": SIZE[1],
                "source": "made",
                "split": "val" if index % 4 == 3 else "train",
                "labelled": ["dog", "cup"],
            }
        )
        for category, (x, y, width, height) in zip((18, 47), BOXES, strict=True):
            canvas[y : y + height, x : x + width] = rng.integers(0, 256, 3)
            data["annotations"].append(
                _annotation(len(data["annotations"]), index, category, (x, y, width, height))
            )
        cv2.imwrite(str(folder / "images" / name), canvas)
    data["annotations"].append(_annotation(999, 0, 18, (0, 0, 200, 150)) | {"iscrowd": 1})
    (folder / "annotations.json.gz").write_bytes(gzip.compress(json.dumps(data).encode()))
    return folder


def _annotation(number: int, image: int, category: int, box: tuple[int, int, int, int]) -> dict[str, Any]:
    x, y, width, height = box
    common = {"id": number, "image_id": image, "category_id": category, "bbox": box, "area": width * height}
    if number % 2:  # polygons for some, run lengths for the others
        corners = [x, y, x + width, y, x + width, y + height, x, y + height]
        return common | {"segmentation": [corners]}
    mask = np.zeros(SIZE, np.uint8, order="F")
    mask[y : y + height, x : x + width] = 1
    encoded = coco_mask.encode(mask)
    return common | {"segmentation": {"size": list(SIZE), "counts": encoded["counts"].decode()}}


def write_detections(folder: Path, detections: dict[int, list[tuple[str, float, Box]]]) -> None:
    """Write what a detector found, by image: category, score and box."""
    found = {
        str(image): [[category, score, *box] for category, score, box in boxes]
        for image, boxes in detections.items()
    }
    (folder / "detections.json.gz").write_bytes(gzip.compress(json.dumps(found).encode()))


def edit_annotations(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change the annotations of a folder."""
    path = folder / "annotations.json.gz"
    data = json.loads(gzip.decompress(path.read_bytes()))
    edit(data)
    path.write_bytes(gzip.compress(json.dumps(data).encode()))
