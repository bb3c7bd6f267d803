"""Sprites: an object drawn once, upright, to be warped into every frame."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.training.world.colours import Rgb, blended, luma, scaled
from lab.training.world.parts import Part, Tone
from lab.training.world.textures import Surface

SPRITE_EXTENT: Final = 1.3
"Half the side of a sprite in unit space: the drawing fits [-1, 1], with a margin."
Shading = NDArray[np.float32]
"(K, K): brightness factors of the K x K cells of a sprite, 0..2; 1 changes nothing."
_SUBPIXEL_BITS: Final = 4
SHADING_SIDE: Final = 40
"K. Shading is smooth: computed for few cells and enlarged, it costs a fraction."
_SKINS: Final[tuple[Rgb, ...]] = ((241, 206, 178), (214, 164, 122), (150, 102, 68), (96, 64, 46))


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A drawing of an object; S pixels span [-SPRITE_EXTENT, SPRITE_EXTENT]."""

    pixels: NDArray[np.uint8]
    "(S, S, 4): RGB, painted beyond the silhouette too, and alpha."
    hull: NDArray[np.float64]
    "(P, 2): convex hull of the silhouette in unit space."
    area: float
    "Of the silhouette, in unit space."

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """(S, S, 3)."""
        return self.pixels[..., :3]

    @property
    def alpha(self) -> NDArray[np.uint8]:
        """(S, S): coverage of each pixel by the silhouette, 0..255."""
        return self.pixels[..., 3]


def draw_sprite(parts: list[Part], rgb: Rgb, surface: Surface, rng: np.random.Generator) -> Sprite:
    """Draw the parts, later ones over earlier ones.

    `surface` (S, S, 3) is the texture of the object's colour, `rgb` its plain tone.
    """
    side = surface.shape[0]
    canvas = surface.copy()
    alpha = np.zeros((side, side), dtype=np.uint8)
    tones = _tones(rgb, rng)
    for part, fixed in zip(parts, _to_pixels(parts, side), strict=True):
        cv2.fillPoly(alpha, fixed, 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
        if part.tone is not Tone.BODY:
            cv2.fillPoly(canvas, fixed, tones[part.tone], lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
    corners = np.concatenate([part.outlines[0] for part in parts]).astype(np.float32)
    unit_px = side / (2 * SPRITE_EXTENT)
    area = cv2.sumElems(alpha)[0] / 255 / unit_px**2
    return Sprite(_rgba(canvas, alpha), cv2.convexHull(corners)[:, 0].astype(np.float64), area)


def apply_shading(sprite: Sprite, shading: Shading) -> Sprite:
    """Return the sprite with its RGB multiplied by the shading."""
    full = cv2.resize(cv2.convertScaleAbs(shading, alpha=128), sprite.pixels.shape[:2])
    factors = cv2.merge([full, full, full, np.full_like(full, 128)])
    shaded = cv2.multiply(sprite.pixels, factors, scale=1 / 128)
    return replace(sprite, pixels=np.asarray(shaded, dtype=np.uint8))


def side_shading(ends: tuple[float, float]) -> Shading:
    """Return a horizontal gradient of brightness from the left end to the right end."""
    left, right = ends
    return np.asarray(left + (right - left) * _ACROSS)


def relief_shading(alpha: NDArray[np.uint8], light: tuple[float, float], depth: float) -> Shading:
    """Shade a round body: brighter towards the light (x, y), darker away from it, by up to `depth`."""
    reach, step = (SHADING_SIDE // 8, SHADING_SIDE // 8), SHADING_SIDE / 12
    small = cv2.resize(alpha, (SHADING_SIDE, SHADING_SIDE)).astype(np.float32)
    soft = cv2.blur(cv2.blur(small, reach), reach)
    # Slope as a difference to the silhouette one step further from the light: less noisy than a derivative.
    shift = np.array([[1, 0, -step * light[0]], [0, 1, -step * light[1]]])
    further = cv2.warpAffine(soft, shift, soft.shape)
    return np.asarray(cv2.addWeighted(soft, depth / 160, further, -depth / 160, 1), dtype=np.float32)


_ACROSS: Final = np.tile(np.linspace(0, 1, SHADING_SIDE, dtype=np.float32), (SHADING_SIDE, 1))


def _rgba(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(S, S, 4)"""
    pixels = cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA)
    return np.asarray(cv2.insertChannel(alpha, pixels, 3), dtype=np.uint8)


def _to_pixels(parts: list[Part], side: int) -> list[list[NDArray[np.int32]]]:
    """Convert all outlines to fixed-point pixels, in one go: most of the cost is per numpy call."""
    outlines = [outline for part in parts for outline in part.outlines]
    pixels = (np.concatenate(outlines) / SPRITE_EXTENT + 1) * (side / 2) - 0.5
    fixed = np.round(pixels * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    ends = itertools.accumulate(len(outline) for outline in outlines)
    cut = iter([fixed[end - len(outline) : end] for outline, end in zip(outlines, ends, strict=True)])
    return [[next(cut) for _ in part.outlines] for part in parts]


def _tones(rgb: Rgb, rng: np.random.Generator) -> dict[Tone, Rgb]:
    """Choose the tones of details, so that dark ones are visible on black and light ones on white."""
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
