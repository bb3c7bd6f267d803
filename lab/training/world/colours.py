"""Ten colours with names, each a region of hue, saturation and value that touches no other."""

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
    """What one name covers: a middle and how far it reaches either way."""

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
"In the order in which levels bring them in."


def sample(colour: str, spread: float, rng: np.random.Generator) -> Rgb:
    """A colour of that name; `spread` 0 is the middle of its region, 1 reaches its ends."""
    region, reach = REGIONS[colour], spread * rng.uniform(-1, 1, size=3)
    middle = np.array([region.hue[0], region.saturation[0], region.value[0]])
    half = np.array([region.hue[1], region.saturation[1], region.value[1]])
    return rgb_of(*(middle + reach * half).tolist())


def rgb_of(hue: float, saturation: float, value: float) -> Rgb:
    """A colour by hue in degrees, saturation and value 0..1."""
    saturation, value = min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0)
    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value)
    return 255 * red, 255 * green, 255 * blue


def lab(rgb: NDArray[np.float64] | Sequence[Rgb | NDArray[np.float32]]) -> NDArray[np.float32]:
    """(K, 3) colours 0..255 in CIE L*a*b*, where distance is about what an eye sees."""
    pixels = np.asarray(rgb, dtype=np.float32)[None] / 255
    found: NDArray[np.float32] = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)[0]
    return found


def luma(rgb: Rgb) -> float:
    """Brightness 0..255 (Rec. 601)."""
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def scaled(rgb: Rgb, factor: float) -> Rgb:
    """The same colour, darker or brighter."""
    red, green, blue = (min(factor * channel, 255.0) for channel in rgb)
    return red, green, blue


def between(low: Rgb, high: Rgb, share: NDArray[np.float32] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3): `low` where the share (H, W) is 0, `high` where it is 1, and so on beyond as far as there
    is light."""
    channels = [cv2.convertScaleAbs(share, alpha=b - a, beta=a) for a, b in zip(low, high, strict=True)]
    return np.asarray(cv2.merge(channels), dtype=np.uint8)


def blended(rgb: Rgb, other: Rgb, share: float) -> Rgb:
    """A mixture with this share of the other colour."""
    red, green, blue = (a + share * (b - a) for a, b in zip(rgb, other, strict=True))
    return red, green, blue
