"""Visual prompts: regions of an image in a question, in the format of Sa2VA's InternVL family.

The image is followed by "There are N part regions in the picture: region1<vp>…</vp>, region2<vp>…</vp>.",
with copies of the image tokens inside the region between `<vp>` and `</vp>` (bytedance/Sa2VA
`modeling_sa2va_chat.py`, `mask_prompts`).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streaming.errors import InvalidQuery
from streaming.vocabulary import Mask, Region


def region_tokens(region: NDArray[np.bool_], side: int) -> Tensor:
    """Select image tokens: region (H, W) bool → (side * side,) bool, for `side` x `side` tokens, row by row.

    A token belongs to the region if its upper left corner does; if there is none, the token at the region's
    centre is selected. Raises InvalidQuery if the region is empty.
    """
    if not region.any():
        raise InvalidQuery("The region is empty.", remedy="Point at something in the picture.")
    height, width = region.shape
    steps = np.arange(side)
    selected = region[np.ix_(steps * height // side, steps * width // side)]
    if not selected.any():
        y, x = (int(index.mean()) for index in region.nonzero())
        selected[y * side // height, x * side // width] = True
    return torch.from_numpy(selected.copy()).flatten()


def region_mask(region: Region, size: tuple[int, int]) -> Mask:
    """Convert a box (x0, y0, x1, y1) in 0..1 to a mask of `size` (height, width), never empty."""
    (x0, y0, x1, y1), (height, width) = region, size
    left, top = min(int(x0 * width), width - 1), min(int(y0 * height), height - 1)
    mask = np.zeros(size, np.bool_)
    mask[top : max(top + 1, round(y1 * height)), left : max(left + 1, round(x1 * width))] = True
    return mask


def ask_about_region(text: str) -> str:
    """Name region1 in a question that does not name it yet."""
    return text if "region1" in text else f"About region1: {text}"


def introduce_regions(image_token: str, sizes: list[int]) -> str:
    """Return the text behind an image that introduces regions with so many image tokens each."""
    regions = (f"region{number}<vp>{image_token * size}</vp>" for number, size in enumerate(sizes, start=1))
    return f"There are {len(sizes)} part regions in the picture: {', '.join(regions)}.\n"
