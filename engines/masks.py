"""A model's logits -> what is published: run lengths, box and area at source size.

Run lengths go down the columns, so the mask is enlarged lying on its side and read in one go: 0.1 ms for
640x360, however large the object is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from streaming.vocabulary import Logits, Mask, MaskRle


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """A mask at source size, with at least one pixel."""

    rle: MaskRle
    box_px: tuple[float, float, float, float]
    "(x0, y0, x1, y1), x1 and y1 exclusive."
    area_px: int


def draw_mask(logits: Logits, size: tuple[int, int]) -> DrawnMask | None:
    """(h, w) logits of a whole picture -> the mask at `size` (height, width) where they are > 0, or None.

    Enlarged bilinearly with pixel centres aligned at half (PyTorch's `align_corners=False`).
    """
    if not (logits > 0).any():
        return None
    return _drawn(_enlarged(logits, size) > 0, size)


def draw_masks_apart(logits: Logits, size: tuple[int, int]) -> list[DrawnMask | None]:
    """(N, h, w) -> masks as by `draw_mask`, but that each pixel belongs to the object with the highest logit
    alone, the first of equals (sam2_base.py, `_apply_non_overlapping_constraints`)."""
    if len(logits) < 2:
        return [draw_mask(one, size) for one in logits]
    large = np.stack([_enlarged(one, size) for one in logits])
    highest = large.argmax(axis=0)
    return [_drawn((one > 0) & (highest == row), size) for row, one in enumerate(large)]


def _enlarged(logits: Logits, size: tuple[int, int]) -> NDArray[np.float32]:
    """(h, w) -> (width, height), lying on its side."""
    height, width = size
    turned = np.ascontiguousarray(logits.T)
    return np.asarray(cv2.resize(turned, (height, width), interpolation=cv2.INTER_LINEAR), np.float32)


def _drawn(lying: NDArray[np.bool_], size: tuple[int, int]) -> DrawnMask | None:
    edges = _edges(np.ravel(lying))
    starts, ends = edges[1:-1:2], edges[2::2]
    if not starts.size:
        return None
    coded = coco.frPyObjects({"size": list(size), "counts": np.diff(edges).tolist()}, *size)
    rle = MaskRle(size, coded["counts"].decode("ascii"))
    return DrawnMask(rle, _box(starts, ends, size[0]), int((ends - starts).sum()))


def decode_mask(rle: MaskRle) -> Mask:
    """Run lengths -> (H, W) bool."""
    decoded = coco.decode({"size": list(rle.size), "counts": rle.counts.encode("ascii")})
    return np.asarray(decoded, dtype=np.bool_)


def encode_mask(mask: Mask) -> MaskRle:
    """(H, W) bool -> run lengths."""
    coded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return MaskRle((mask.shape[0], mask.shape[1]), coded["counts"].decode("ascii"))


def _edges(on: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(P,) bool -> where its runs begin and where the last one ends; the first run is off, maybe empty."""
    flips = np.flatnonzero(on[1:] != on[:-1]) + 1
    return np.concatenate([[0, 0] if on[0] else [0], flips, [on.size]])


def _box(starts: NDArray[np.intp], ends: NDArray[np.intp], height: int) -> tuple[float, float, float, float]:
    """Around runs that go down columns of that height."""
    (left, top), (right, bottom) = np.divmod(starts, height), np.divmod(ends - 1, height)
    if (left < right).any():  # over the lower edge and on from the upper one
        return float(left[0]), 0.0, float(right[-1] + 1), float(height)
    return float(left[0]), float(top.min()), float(right[-1] + 1), float(bottom.max() + 1)
