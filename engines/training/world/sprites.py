"""A thing drawn once, upright, to be warped into every picture that it appears in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.training.world.colours import Rgb, blended, luma, scaled
from engines.training.world.parts import Part, Tone
from engines.training.world.textures import Paint

REACH: Final = 1.3
"Half the side of a sprite in unit space."
Shade = NDArray[np.float32]
"(S, S) by how much brighter each pixel of a sprite is."
_SUBPIXEL_BITS: Final = 4
_SKINS: Final[tuple[Rgb, ...]] = ((241, 206, 178), (214, 164, 122), (150, 102, 68), (96, 64, 46))


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """One drawing of one thing; S pixels span [-REACH, REACH]."""

    paint: NDArray[np.uint8]
    "(S, S, 3) RGB, painted beyond the silhouette too."
    cover: NDArray[np.uint8]
    "(S, S) how much of each pixel the silhouette covers, 0..255."
    hull: NDArray[np.float64]
    "(P, 2) convex hull of the silhouette in unit space."
    area: float
    "Of the silhouette, in unit space."


def draw_sprite(parts: list[Part], rgb: Rgb, paint: Paint, rng: np.random.Generator) -> Sprite:
    """The parts over each other; `paint` (S, S, 3) is the named colour's surface, `rgb` its plain tone."""
    side = paint.shape[0]
    surface = np.clip(paint, 0, 255).astype(np.uint8)
    cover = np.zeros((side, side), dtype=np.uint8)
    tones = _tones(rgb, rng)
    for part in parts:
        fixed = [_to_pixels(outline, side) for outline in part.outlines]
        cv2.fillPoly(cover, fixed, 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
        if part.tone is not Tone.BODY:
            cv2.fillPoly(surface, fixed, tones[part.tone], lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
    corners = np.concatenate([part.outlines[0] for part in parts]).astype(np.float32)
    unit_px = side / (2 * REACH)
    area = float(cover.sum(dtype=np.int64)) / 255 / unit_px**2
    return Sprite(surface, cover, cv2.convexHull(corners)[:, 0].astype(np.float64), area)


def lit(sprite: Sprite, shade: Shade) -> Sprite:
    """The same under that light."""
    paint = cv2.multiply(sprite.paint, cv2.merge([shade] * 3), dtype=cv2.CV_8U)
    return replace(sprite, paint=np.asarray(paint, dtype=np.uint8))


def from_side(side: int, edges: tuple[float, float]) -> Shade:
    """Light of brightness `edges` at the left and the right end of a sprite of `side` pixels."""
    return np.tile(np.linspace(*edges, side, dtype=np.float32), (side, 1))


def relief(cover: NDArray[np.uint8], light: tuple[float, float], depth: float) -> Shade:
    """Light on a rounded body: brighter towards the light (x, y), darker away from it, by up to `depth`."""
    side = cover.shape[0]
    reach, step = (side // 8, side // 8), side // 12
    soft = cv2.blur(cv2.blur(cover, reach), reach)
    # The silhouette against itself a step further from the light: its slope, without a derivative's noise.
    shift = np.array([[1, 0, -step * light[0]], [0, 1, -step * light[1]]])
    slope = cv2.subtract(cv2.warpAffine(soft, shift, (side, side)), soft, dtype=cv2.CV_32F)
    return np.asarray(1 - depth / 160 * slope, dtype=np.float32)


def _to_pixels(outline: NDArray[np.float64], side: int) -> NDArray[np.int32]:
    pixels = (outline / REACH + 1) * (side / 2) - 0.5
    return np.round(pixels * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def _tones(rgb: Rgb, rng: np.random.Generator) -> dict[Tone, Rgb]:
    """What each tone is beside this colour: dark is visible on black, light on white."""
    bright = luma(rgb)
    return {
        Tone.SHADE: scaled(rgb, 0.68) if bright > 45 else (72.0, 72.0, 76.0),
        Tone.TINT: blended(rgb, (255.0, 255.0, 255.0), 0.4) if bright < 200 else (196.0, 196.0, 200.0),
        Tone.DARK: (38.0, 38.0, 44.0) if bright > 60 else (104.0, 104.0, 110.0),
        Tone.LIGHT: (236.0, 234.0, 226.0) if bright < 205 else (168.0, 170.0, 176.0),
        Tone.SKIN: _SKINS[int(rng.integers(len(_SKINS)))],
        Tone.WOOD: (112.0, 80.0, 52.0),
        Tone.LEAF: (74.0, 112.0, 58.0),
        Tone.GLASS: (176.0, 202.0, 214.0),
    }
