"""Convert a model's logits to published masks: COCO run lengths, box and area at source size.

COCO's run lengths are column-major, so logits are resized transposed and scanned once: 0.1 ms at 640x360,
whatever the object's size.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from streaming.vocabulary import Logits, Mask, MaskRle


@dataclass(frozen=True, slots=True)
class EncodedMask:
    """A mask at source size, with at least one pixel."""

    rle: MaskRle
    box_px: tuple[float, float, float, float]
    "(x0, y0, x1, y1), x1 and y1 exclusive."
    area_px: int


def mask_from_logits(logits: Logits, size: tuple[int, int]) -> EncodedMask | None:
    """Resize (h, w) logits of a whole frame to `size` (height, width) and encode where they are > 0.

    Returns None for an empty mask. Bilinear, as PyTorch with `align_corners=False`.
    """
    if not (logits > 0).any():
        return None
    return _encoded(_resized(logits, size) > 0, size)


def non_overlapping_masks(logits: Logits, size: tuple[int, int]) -> list[EncodedMask | None]:
    """Encode (N, h, w) logits as by `mask_from_logits`, with each pixel in one mask at most.

    A pixel belongs to the object with the highest logit, the first of equals (sam2_base.py,
    `_apply_non_overlapping_constraints`).
    """
    if len(logits) < 2:
        return [mask_from_logits(one, size) for one in logits]
    large = np.stack([_resized(one, size) for one in logits])
    highest = large.argmax(axis=0)
    return [_encoded((one > 0) & (highest == row), size) for row, one in enumerate(large)]


def _resized(logits: Logits, size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize (h, w) logits to (height, width), transposed: (width, height)."""
    height, width = size
    transposed = np.ascontiguousarray(logits.T)
    return np.asarray(cv2.resize(transposed, (height, width), interpolation=cv2.INTER_LINEAR), np.float32)


def _encoded(columns_first: NDArray[np.bool_], size: tuple[int, int]) -> EncodedMask | None:
    edges = _edges(np.ravel(columns_first))
    starts, ends = edges[1:-1:2], edges[2::2]
    if not starts.size:
        return None
    coded = coco.frPyObjects({"size": list(size), "counts": np.diff(edges).tolist()}, *size)
    rle = MaskRle(size, coded["counts"].decode("ascii"))
    return EncodedMask(rle, _box(starts, ends, size[0]), int((ends - starts).sum()))


def decode_mask(rle: MaskRle) -> Mask:
    """Decode run lengths to (H, W) bool."""
    decoded = coco.decode({"size": list(rle.size), "counts": rle.counts.encode("ascii")})
    return np.asarray(decoded, dtype=np.bool_)


def encode_mask(mask: Mask) -> MaskRle:
    """Encode (H, W) bool as run lengths."""
    coded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return MaskRle((mask.shape[0], mask.shape[1]), coded["counts"].decode("ascii"))


def _edges(on: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return where the runs of (P,) bool begin and where the last ends; the first run, of False, may be
    empty."""
    flips = np.flatnonzero(on[1:] != on[:-1]) + 1
    return np.concatenate([[0, 0] if on[0] else [0], flips, [on.size]])


def _box(starts: NDArray[np.intp], ends: NDArray[np.intp], height: int) -> tuple[float, float, float, float]:
    """Return the box around column-major runs."""
    (left, top), (right, bottom) = np.divmod(starts, height), np.divmod(ends - 1, height)
    if (left < right).any():  # a run continues from the lower edge to the next column
        return float(left[0]), 0.0, float(right[-1] + 1), float(height)
    return float(left[0]), float(top.min()), float(right[-1] + 1), float(bottom.max() + 1)
