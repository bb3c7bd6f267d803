"""Names of the colour of an object in a photograph, measured from the pixels of its mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.training.world.camera import Image
from lab.training.world.colours import COLOURS

REAL_COLOURS: Final = (*COLOURS, "grey")
"Colours of photographs. Weights of class heads number colours by this order: append only."
_DOMINANT: Final = 0.55
"An object has the colour of at least this share of its pixels ..."
_TRACE: Final = 0.08
"... may have any of at least this share, and has none of less, but for neighbours of its colour."
_MIN_PIXELS: Final = 60
_NEIGHBOURS: Final = {
    "red": ("orange", "pink", "brown", "purple"),
    "green": ("yellow", "grey", "black"),
    "blue": ("purple", "grey", "black"),
    "yellow": ("orange", "brown", "white", "green"),
    "purple": ("blue", "pink", "red", "black"),
    "white": ("grey", "yellow", "pink"),
    "orange": ("red", "brown", "yellow"),
    "pink": ("red", "purple", "white", "orange"),
    "brown": ("orange", "red", "black", "yellow", "grey"),
    "black": ("grey", "blue", "brown", "purple", "green"),
    "grey": ("black", "white", "blue", "brown", "green"),
}
"By colour: those that another person might name instead."


@dataclass(frozen=True, slots=True)
class MeasuredColour:
    """What is known of an object's colour."""

    name: str
    "Of `REAL_COLOURS`; empty where none dominates."
    excluded: frozenset[str]
    "Colours that it surely does not have."


UNMEASURED: Final = MeasuredColour("", frozenset())


def measure_colour(image: Image, mask: NDArray[np.bool_]) -> MeasuredColour:
    """Name the dominant colour of an object: image (H, W, 3) RGB, mask (H, W). Outlines are left out."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    pixels = image[inner if np.count_nonzero(inner) >= _MIN_PIXELS else mask]
    if len(pixels) < _MIN_PIXELS:
        return UNMEASURED
    shares = colour_shares(pixels)
    name = max(REAL_COLOURS, key=lambda colour: shares.get(colour, 0.0))
    rare = frozenset(colour for colour in REAL_COLOURS if shares.get(colour, 0.0) < _TRACE)
    if shares.get(name, 0.0) < _DOMINANT:
        likely = {near for colour in REAL_COLOURS if colour not in rare for near in _NEIGHBOURS[colour]}
        return MeasuredColour("", rare - likely)
    return MeasuredColour(name, rare - {name, *_NEIGHBOURS[name]})


def colour_shares(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Return the share of (K, 3) RGB pixels of each name; pixels between two names have none."""
    named = _names_of(pixels)
    counts = np.bincount(named[named >= 0], minlength=len(REAL_COLOURS))
    return {colour: float(counts[index]) / len(pixels) for index, colour in enumerate(REAL_COLOURS)}


def _names_of(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return (K,) indices into REAL_COLOURS, -1 for none: by lightness, chroma and hue of CIE L*a*b*."""
    lab = cv2.cvtColor(pixels[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    light, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    found = np.full(len(pixels), -1, np.intp)

    def put(name: str, where: NDArray[np.bool_]) -> None:
        found[where & (found < 0)] = REAL_COLOURS.index(name)

    put("black", (light < 22) & (chroma < 16) | (light < 12))
    put("white", (light > 74) & (chroma < np.where(hue > 180, 6, 9)))
    put("grey", (light > 32) & (light < 68) & (chroma < 8))
    vivid = chroma > np.where(light > 50, 26, 18)
    warm = (hue > 40) & (hue < 88)
    put("pink", (chroma > 18) & (light > 58) & ((hue < 28) | (hue > 325)))
    put("red", (chroma > 32) & (hue > 5) & (hue < 44) & (light < 62))
    put("brown", (chroma > 10) & (light > 14) & (light < 52) & (hue > 38) & (hue < 85) & (chroma < 48))
    put("orange", (chroma > 48) & warm & (hue < 74) & (light > 50))
    put("yellow", (chroma > 40) & (hue > 78) & (hue < 108) & (light > 62))
    put("green", (chroma > 16) & (hue > 108) & (hue < 185))
    put("blue", (chroma > 14) & (hue > 225) & (hue < np.where(chroma > 50, 310, 298)))
    put("purple", vivid & (hue > 300) & (hue < 345) & (light < 62))
    return found
