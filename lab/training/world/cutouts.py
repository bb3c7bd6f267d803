"""Cut-outs: sprites of objects in photographs, for scenes composed of photographs."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.training.world.camera import Image
from lab.training.world.sprites import SPRITE_EXTENT, Sprite

_SOLID: Final = 200
"Alpha above which a pixel has the object's own colour."
_EDGE: Final = (70, 240)
"""Blurred alpha that becomes 0, and that becomes 255: the silhouette shrinks by about half a pixel, because
annotated outlines contain a rim of background."""


def cut_out(image: Image, mask: NDArray[np.uint8], side: int, feather_px: float) -> Sprite | None:
    """Make a sprite of `side` pixels; the longer side of the object spans [-1, 1]. None for an empty mask.

    image: (H, W, 3) RGB. mask: (H, W), 0 or 1. feather_px: standard deviation of the soft edge.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    centre = ((columns[0] + columns[-1] + 1) / 2, (rows[0] + rows[-1] + 1) / 2)
    length = max(columns[-1] - columns[0], rows[-1] - rows[0]) + 1
    scale = side / SPRITE_EXTENT / length
    transform = np.array([[scale, 0, side / 2 - scale * centre[0]], [0, scale, side / 2 - scale * centre[1]]])
    alpha = cv2.warpAffine(mask * 255, transform, (side, side), flags=cv2.INTER_AREA)
    low, high = _EDGE
    soft = cv2.GaussianBlur(alpha, (0, 0), feather_px).astype(np.float32)
    alpha = np.clip((soft - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
    rgb = cv2.warpAffine(image, transform, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return sprite_of(_extend_colours(np.asarray(rgb, np.uint8), alpha), alpha)


def sprite_of(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> Sprite | None:
    """Make a sprite of its pixels (S, S, 3) and (S, S); None where no pixel is more than half covered."""
    side = alpha.shape[0]
    unit_px = side / (2 * SPRITE_EXTENT)
    contours, _ = cv2.findContours((alpha > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    hull = (cv2.convexHull(np.concatenate(contours))[:, 0] + 0.5) / unit_px - SPRITE_EXTENT
    area = float(alpha.sum() / 255 / unit_px**2)
    return Sprite(np.dstack([rgb, alpha]), hull.astype(np.float64), area)


def mirrored(sprite: Sprite) -> Sprite:
    """Return the sprite with left and right exchanged."""
    return Sprite(np.ascontiguousarray(sprite.pixels[:, ::-1]), sprite.hull * (-1, 1), sprite.area)


def _extend_colours(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Continue the object's colours beyond its silhouette, so that soft edges show no old background."""
    solid = (alpha > _SOLID).astype(np.float32)
    window = (2 * max(alpha.shape[0] // 24, 2) + 1,) * 2
    colour = cv2.blur(rgb.astype(np.float32) * solid[..., None], window)
    weight = cv2.blur(solid, window)[..., None]
    extended = np.where(weight > 1e-3, colour / np.maximum(weight, 1e-3), rgb)
    return np.asarray(np.where(solid[..., None] > 0, rgb, extended), dtype=np.uint8)
