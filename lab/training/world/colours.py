"""Ten named colours, each a region of hue, saturation and value that is well apart from the others."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = tuple[float, float, float]
"Red, green, blue, 0..255."


@dataclass(frozen=True, slots=True)
class Region:
    """The colours of one name: for each of hue, saturation and value the middle and the half-width."""

    hue: tuple[float, float]
    "Degrees."
    saturation: tuple[float, float]
    "0..1"
    value: tuple[float, float]
    "0..1"


REGIONS: Final[dict[str, Region]] = {
    "red": Region((0, 6), (0.82, 0.12), (0.84, 0.13)),
    "green": Region((130, 22), (0.75, 0.16), (0.63, 0.15)),
    "blue": Region((226, 12), (0.80, 0.15), (0.84, 0.14)),
    "yellow": Region((51, 5), (0.83, 0.13), (0.94, 0.06)),
    "purple": Region((283, 10), (0.68, 0.13), (0.72, 0.13)),
    "white": Region((0, 180), (0.02, 0.02), (0.93, 0.06)),
    "orange": Region((27, 5), (0.92, 0.08), (0.95, 0.05)),
    "pink": Region((333, 10), (0.45, 0.10), (0.96, 0.04)),
    "brown": Region((23, 7), (0.62, 0.12), (0.41, 0.07)),
    "black": Region((0, 180), (0.12, 0.12), (0.09, 0.05)),
}
"By name."
COLOURS: Final = tuple(REGIONS)
"In the order in which curriculum levels add them. Trained weights number colours by it: append only."


def sample_colour(colour: str, spread: float, rng: np.random.Generator) -> Rgb:
    """Sample a colour of that name from its region; `spread` 0 takes the middle, 1 all of the region."""
    region, reach = REGIONS[colour], spread * rng.uniform(-1, 1, size=3)
    middle = np.array([region.hue[0], region.saturation[0], region.value[0]])
    half = np.array([region.hue[1], region.saturation[1], region.value[1]])
    return rgb_of(*(middle + reach * half).tolist())


def rgb_of(hue: float, saturation: float, value: float) -> Rgb:
    """Convert hue in degrees, saturation and value 0..1; out of range they are wrapped and clipped."""
    saturation, value = min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0)
    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value)
    return 255 * red, 255 * green, 255 * blue


def cielab(rgb: NDArray[np.float64] | Sequence[Rgb | NDArray[np.float32]]) -> NDArray[np.float32]:
    """Convert (K, 3) RGB 0..255 to CIE L*a*b*, where Euclidean distance is about the visible difference."""
    pixels = np.asarray(rgb, dtype=np.float32)[None] / 255
    found: NDArray[np.float32] = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)[0]
    return found


def luma(rgb: Rgb) -> float:
    """Return the luma, 0..255 (Rec. 601)."""
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def scaled(rgb: Rgb, factor: float) -> Rgb:
    """Multiply a colour by a factor, clipped to 255."""
    red, green, blue = (min(factor * channel, 255.0) for channel in rgb)
    return red, green, blue


def between(low: Rgb, high: Rgb, share: NDArray[np.float32] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mix to (H, W, 3): `low` where the share (H, W) is 0, `high` where it is 1; clipped to 0..255."""
    channels = [cv2.convertScaleAbs(share, alpha=b - a, beta=a) for a, b in zip(low, high, strict=True)]
    return np.asarray(cv2.merge(channels), dtype=np.uint8)


def blended(rgb: Rgb, other: Rgb, share: float) -> Rgb:
    """Mix two colours; `share` is that of the other."""
    red, green, blue = (a + share * (b - a) for a, b in zip(rgb, other, strict=True))
    return red, green, blue
