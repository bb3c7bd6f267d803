"""Who looks: where the camera points at every moment, and how it spoils what it sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from lab.training.world.noise import grain

Affine = NDArray[np.float64]
"(2, 3)"
Picture = NDArray[np.uint8]
"(H, W, 3) RGB."

SPOILAGE: Final = (
    "exposure", "blur", "noise", "jpeg", "pan", "zoom", "shake", "flicker", "motion blur", "downscale",
)  # fmt: skip
"All that a camera may do; each is done to some clips only."


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera; every part but the picture may be nothing. Lengths in picture heights."""

    gain: float = 1.0
    lift: float = 0.0
    blur: float = 0.0
    "Deviation, pixels."
    noise: int = 0
    "Quarters of a grain of deviation 12."
    jpeg: int = 0
    "Quality 1..100; 0 leaves the picture as it is."
    pan: tuple[float, float] = (0.0, 0.0)
    "How far it turns to either side and back."
    zoom: float = 0.0
    "How much nearer it gets and goes again, a share."
    shake: float = 0.0
    flicker: float = 0.0
    "How much brighter and darker it gets, a share."
    shutter: float = 0.0
    "Share of the time between pictures (1/30 s) during which it looks."
    shrink: float = 1.0
    "Share of the picture's size it really sees with."
    rate: float = 1.0
    "Angular frequency of pan, zoom and flicker, rad/s."

    @property
    def moves(self) -> bool:
        """Whether the ground moves in the picture."""
        return bool(any(self.pan) or self.zoom or self.shake)

    def view(self, moment: float) -> tuple[float, float, float]:
        """Magnification, and where the picture's corner (x, y) then lies for what magnification left at
        the centre; nothing has moved at moment 0."""
        turn = math.sin(self.rate * moment)
        x = self.pan[0] * turn + self.shake * (math.sin(17 * moment) + math.sin(29 * moment))
        y = self.pan[1] * turn + self.shake * (math.sin(19 * moment) + math.sin(23 * moment))
        return 1 + self.zoom * math.sin(0.7 * self.rate * moment), x, y

    def develop(self, picture: Picture, moment: float, rng: np.random.Generator) -> Picture:
        """What the sensor and the codec leave of a clean picture."""
        seen: MatLike = picture
        gain = self.gain * (1 + self.flicker * math.sin(2.1 * self.rate * moment))
        if gain != 1 or self.lift:
            seen = cv2.convertScaleAbs(seen, alpha=gain, beta=max(self.lift, -10.0))
        if self.shrink < 1:
            seen = _shrunk(seen, self.shrink)
        if self.blur:
            seen = cv2.GaussianBlur(seen, (5, 5), self.blur)
        if self.noise:
            noise = grain(rng, (picture.shape[0], picture.shape[1]))
            seen = cv2.addWeighted(seen, 1, noise, self.noise / 4, -128 * self.noise / 4)
        if self.jpeg:
            seen = _compressed(seen, self.jpeg)
        return np.asarray(seen, dtype=np.uint8)


CLEAN: Final = Camera()


def draw_camera(spoilage: tuple[str, ...], rng: np.random.Generator) -> Camera:
    """A camera that does some of `spoilage`."""

    def does(what: str, often: float) -> bool:
        return bool(rng.random() < often) and what in spoilage

    exposed, pans = "exposure" in spoilage, does("pan", 0.4)
    return Camera(
        gain=float(rng.uniform(0.8, 1.15)) if exposed else 1.0,
        lift=float(rng.uniform(-10, 12)) if exposed else 0.0,
        blur=float(rng.uniform(0.4, 1.1)) if does("blur", 0.4) else 0.0,
        noise=int(rng.integers(1, 4)) if does("noise", 0.4) else 0,
        jpeg=int(rng.integers(25, 90)) if does("jpeg", 0.5) else 0,
        pan=(float(rng.uniform(-0.15, 0.15)), float(rng.uniform(-0.06, 0.06))) if pans else (0.0, 0.0),
        zoom=float(rng.uniform(-0.12, 0.2)) if does("zoom", 0.25) else 0.0,
        shake=float(rng.uniform(0.002, 0.008)) if does("shake", 0.3) else 0.0,
        flicker=float(rng.uniform(0.05, 0.2)) if does("flicker", 0.3) else 0.0,
        shutter=float(rng.uniform(0.3, 1.0)) if does("motion blur", 0.5) else 0.0,
        shrink=float(rng.uniform(0.55, 0.9)) if does("downscale", 0.25) else 1.0,
        rate=float(rng.uniform(0.6, 1.8)),
    )


def _shrunk(picture: MatLike, share: float) -> MatLike:
    small = cv2.resize(picture, None, fx=share, fy=share)
    return cv2.resize(small, picture.shape[1::-1])


def _compressed(picture: MatLike, quality: int) -> Picture:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, coded = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
