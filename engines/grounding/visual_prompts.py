"""Regions of a picture that a person pointed at: visual prompts, as the InternVL family was taught them.

Behind the picture stands "There are N part regions in the picture: region1<vp>…</vp>, region2<vp>…</vp>.",
and inside of the marks once more those of the whole picture's tokens that lie in the region (bytedance/Sa2VA
`modeling_sa2va_chat.py`, `mask_prompts`).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streaming.errors import InvalidQuery
from streaming.vocabulary import Mask, Region


def cells(region: NDArray[np.bool_], side: int) -> Tensor:
    """(H, W) bool → (side * side,) bool: which of the whole picture's tokens lie in it, by their upper left
    corners; the one in its middle where none does.

    Raises InvalidQuery where the region is empty.
    """
    if not region.any():
        raise InvalidQuery("The region is empty.", remedy="Point at something in the picture.")
    height, width = region.shape
    steps = np.arange(side)
    inside = region[np.ix_(steps * height // side, steps * width // side)]
    if not inside.any():
        y, x = (int(place.mean()) for place in region.nonzero())
        inside[y * side // height, x * side // width] = True
    return torch.from_numpy(inside.copy()).flatten()


def inside(region: Region, size: tuple[int, int]) -> Mask:
    """The pixels of a picture of that height and width that a person pointed at: one at least."""
    (x0, y0, x1, y1), (height, width) = region, size
    left, top = min(int(x0 * width), width - 1), min(int(y0 * height), height - 1)
    mask = np.zeros(size, np.bool_)
    mask[top : max(top + 1, round(y1 * height)), left : max(left + 1, round(x1 * width))] = True
    return mask


def about(text: str) -> str:
    """A question about what a person pointed at, by the name that it is introduced by."""
    return text if "region1" in text else f"About region1: {text}"


def introduced(image: str, sizes: list[int]) -> str:
    """The words behind a picture that introduce regions of so many tokens each; `image` spells a token."""
    named = (f"region{number}<vp>{image * size}</vp>" for number, size in enumerate(sizes, start=1))
    return f"There are {len(sizes)} part regions in the picture: {', '.join(named)}.\n"
