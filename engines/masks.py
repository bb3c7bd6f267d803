"""A model's logits -> what is published: run lengths, box and area at source size.

Only the part of the picture around the object is enlarged, and run lengths are written from that part: a
640x360 mask costs some tenths of a millisecond, whatever the picture's size.
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
    region = _region(logits, size)
    if region is None:
        return None
    part, left, top = region
    columns, rows = np.flatnonzero(part.any(axis=0)), np.flatnonzero(part.any(axis=1))
    if not columns.size:
        return None
    box = (left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1)
    counts = _runs(part[:, columns[0] : columns[-1] + 1], left + int(columns[0]), top, size)
    coded = coco.frPyObjects({"size": list(size), "counts": counts.tolist()}, *size)
    x0, y0, x1, y1 = (float(edge) for edge in box)
    return DrawnMask(
        MaskRle(size, coded["counts"].decode("ascii")), (x0, y0, x1, y1), int(counts[1::2].sum())
    )


def decode_mask(rle: MaskRle) -> Mask:
    """Run lengths -> (H, W) bool."""
    decoded = coco.decode({"size": list(rle.size), "counts": rle.counts.encode("ascii")})
    return np.asarray(decoded, dtype=np.bool_)


def encode_mask(mask: Mask) -> MaskRle:
    """(H, W) bool -> run lengths."""
    coded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return MaskRle((mask.shape[0], mask.shape[1]), coded["counts"].decode("ascii"))


def _region(logits: Logits, size: tuple[int, int]) -> tuple[NDArray[np.bool_], int, int] | None:
    """The enlarged mask around everything above 0, and the source column and row of its corner."""
    above = logits > 0
    columns, rows = np.flatnonzero(above.any(axis=0)), np.flatnonzero(above.any(axis=1))
    if not columns.size:
        return None
    tall, wide = size[0] / logits.shape[0], size[1] / logits.shape[1]
    # A positive logit reaches less than one cell beyond its own.
    left, right = max(0, int((columns[0] - 1) * wide)), min(size[1], int((columns[-1] + 2) * wide) + 1)
    top, bottom = max(0, int((rows[0] - 1) * tall)), min(size[0], int((rows[-1] + 2) * tall) + 1)
    # Source pixel (left + u) looks at cell (left + u + 0.5) / wide - 0.5, and so for rows.
    back = np.array(
        [[1 / wide, 0, (left + 0.5) / wide - 0.5], [0, 1 / tall, (top + 0.5) / tall - 0.5]], dtype=np.float64
    )
    large = cv2.warpAffine(
        logits,
        back,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return large > 0, left, top


def _runs(part: NDArray[np.bool_], left: int, top: int, size: tuple[int, int]) -> NDArray[np.int64]:
    """Column-major run lengths of the whole picture, off first, of a part whose corner is (left, top)."""
    height = size[0]
    framed = np.zeros((part.shape[1], part.shape[0] + 2), dtype=np.int8)
    framed[:, 1:-1] = part.T
    column, row = np.nonzero(np.diff(framed, axis=1))
    flips = (left + column) * height + top + row
    # A run that ends at the bottom and goes on at the top of the next column is one run.
    joined = np.flatnonzero(flips[1:-1:2] == flips[2::2]) * 2 + 1
    flips = np.delete(flips, np.concatenate([joined, joined + 1]))
    edges = np.concatenate([[0], flips, [height * size[1]]])
    runs: NDArray[np.int64] = np.diff(edges)
    return runs[:-1] if runs[-1] == 0 and runs.size > 1 else runs
