"""A thing drawn once, upright, to be warped into every picture that it appears in."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.training.world.colours import Rgb, blended, luma, scaled
from lab.training.world.parts import Part, Tone
from lab.training.world.textures import Paint

REACH: Final = 1.3
"Half the side of a sprite in unit space."
Shade = NDArray[np.float32]
"(K, K) how bright a sprite is in each of K x K cells, 0..2; 1 leaves it as it is."
_SUBPIXEL_BITS: Final = 4
SHADE_SIDE: Final = 40
"Cells along a sprite that light is worked out for: it is soft, and most of the cost is in the pixels."
_SKINS: Final[tuple[Rgb, ...]] = ((241, 206, 178), (214, 164, 122), (150, 102, 68), (96, 64, 46))


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """One drawing of one thing; S pixels span [-REACH, REACH]."""

    pixels: NDArray[np.uint8]
    "(S, S, 4) RGB, painted beyond the silhouette too, and how much the silhouette covers, all 0..255."
    hull: NDArray[np.float64]
    "(P, 2) convex hull of the silhouette in unit space."
    area: float
    "Of the silhouette, in unit space."

    @property
    def paint(self) -> NDArray[np.uint8]:
        """(S, S, 3) RGB."""
        return self.pixels[..., :3]

    @property
    def cover(self) -> NDArray[np.uint8]:
        """(S, S) how much of each pixel the silhouette covers, 0..255."""
        return self.pixels[..., 3]


def draw_sprite(parts: list[Part], rgb: Rgb, paint: Paint, rng: np.random.Generator) -> Sprite:
    """The parts over each other; `paint` (S, S, 3) is the named colour's surface, `rgb` its plain tone."""
    side = paint.shape[0]
    surface = paint.copy()
    cover = np.zeros((side, side), dtype=np.uint8)
    tones = _tones(rgb, rng)
    for part, fixed in zip(parts, _to_pixels(parts, side), strict=True):
        cv2.fillPoly(cover, fixed, 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
        if part.tone is not Tone.BODY:
            cv2.fillPoly(surface, fixed, tones[part.tone], lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
    corners = np.concatenate([part.outlines[0] for part in parts]).astype(np.float32)
    unit_px = side / (2 * REACH)
    area = cv2.sumElems(cover)[0] / 255 / unit_px**2
    return Sprite(_together(surface, cover), cv2.convexHull(corners)[:, 0].astype(np.float64), area)


def lit(sprite: Sprite, shade: Shade) -> Sprite:
    """The same under that light."""
    full = cv2.resize(cv2.convertScaleAbs(shade, alpha=128), sprite.pixels.shape[:2])
    factors = cv2.merge([full, full, full, np.full_like(full, 128)])
    bright = cv2.multiply(sprite.pixels, factors, scale=1 / 128)
    return replace(sprite, pixels=np.asarray(bright, dtype=np.uint8))


def from_side(edges: tuple[float, float]) -> Shade:
    """Light of brightness `edges` at the left and the right end of a sprite."""
    left, right = edges
    return np.asarray(left + (right - left) * _ACROSS)


def relief(cover: NDArray[np.uint8], light: tuple[float, float], depth: float) -> Shade:
    """Light on a rounded body: brighter towards the light (x, y), darker away from it, by up to `depth`."""
    reach, step = (SHADE_SIDE // 8, SHADE_SIDE // 8), SHADE_SIDE / 12
    small = cv2.resize(cover, (SHADE_SIDE, SHADE_SIDE)).astype(np.float32)
    soft = cv2.blur(cv2.blur(small, reach), reach)
    # The silhouette against itself a step further from the light: its slope, without a derivative's noise.
    shift = np.array([[1, 0, -step * light[0]], [0, 1, -step * light[1]]])
    further = cv2.warpAffine(soft, shift, soft.shape)
    return np.asarray(cv2.addWeighted(soft, depth / 160, further, -depth / 160, 1), dtype=np.float32)


_ACROSS: Final = np.tile(np.linspace(0, 1, SHADE_SIDE, dtype=np.float32), (SHADE_SIDE, 1))


def _together(paint: NDArray[np.uint8], cover: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(S, S, 4)"""
    pixels = cv2.cvtColor(paint, cv2.COLOR_RGB2RGBA)
    return np.asarray(cv2.insertChannel(cover, pixels, 3), dtype=np.uint8)


def _to_pixels(parts: list[Part], side: int) -> list[list[NDArray[np.int32]]]:
    """Every part's outlines in parts of a pixel; all at once, for most of the cost is in the calls."""
    outlines = [outline for part in parts for outline in part.outlines]
    pixels = (np.concatenate(outlines) / REACH + 1) * (side / 2) - 0.5
    fixed = np.round(pixels * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    ends = itertools.accumulate(len(outline) for outline in outlines)
    cut = iter([fixed[end - len(outline) : end] for outline, end in zip(outlines, ends, strict=True)])
    return [[next(cut) for _ in part.outlines] for part in parts]


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
