"""The virtual camera: its motion, and how exposure, optics, sensor and codec degrade the clean image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from lab.training.world.noise import sensor_noise

Affine = NDArray[np.float64]
"(2, 3)"
Image = NDArray[np.uint8]
"(H, W, 3) RGB."

CAMERA_EFFECTS: Final = (
    "exposure", "blur", "noise", "jpeg", "pan", "zoom", "shake", "flicker", "motion blur", "downscale",
)  # fmt: skip
"All effects; a clip has each with some probability."


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera; the defaults change nothing. Lengths without a unit are image heights."""

    gain: float = 1.0
    brightness: float = 0.0
    "Added to pixel values, at least -10."
    blur_sigma_px: float = 0.0
    noise: int = 0
    "Sensor noise in quarters of a standard deviation of 12."
    jpeg_quality: int = 0
    "1..100; 0 does not compress."
    pan: tuple[float, float] = (0.0, 0.0)
    "Amplitude of a sinusoidal pan along x and y."
    zoom: float = 0.0
    "Amplitude of a sinusoidal zoom, relative."
    shake: float = 0.0
    "Amplitude of a fast vibration."
    flicker: float = 0.0
    "Amplitude of a sinusoid of the gain, relative."
    shutter: float = 0.0
    "Exposure time as a share of 1/30 s; 0 has no motion blur."
    resolution: float = 1.0
    "Resolution of the sensor as a share of the image's; below 1, the image is scaled down and up again."
    rate_rad_s: float = 1.0
    "Angular frequency of pan, zoom and flicker."

    @property
    def is_moving(self) -> bool:
        """Whether the background moves in the image."""
        return bool(any(self.pan) or self.zoom or self.shake)

    def zoom_and_shift(self, time_s: float) -> tuple[float, float, float]:
        """Return magnification about the centre, then the shift (x, y) of the view; (1, 0, 0) at time 0."""
        wave = math.sin(self.rate_rad_s * time_s)
        x = self.pan[0] * wave + self.shake * (math.sin(17 * time_s) + math.sin(29 * time_s))
        y = self.pan[1] * wave + self.shake * (math.sin(19 * time_s) + math.sin(23 * time_s))
        return 1 + self.zoom * math.sin(0.7 * self.rate_rad_s * time_s), x, y

    def degrade(self, image: Image, time_s: float, rng: np.random.Generator) -> Image:
        """Apply exposure, resolution, blur, noise and compression to a clean image, in this order."""
        degraded: MatLike = image
        gain = self.gain * (1 + self.flicker * math.sin(2.1 * self.rate_rad_s * time_s))
        if gain != 1 or self.brightness:
            degraded = cv2.convertScaleAbs(degraded, alpha=gain, beta=max(self.brightness, -10.0))
        if self.resolution < 1:
            degraded = _downscaled(degraded, self.resolution)
        if self.blur_sigma_px:
            degraded = cv2.GaussianBlur(degraded, (5, 5), self.blur_sigma_px)
        if self.noise:
            noise = sensor_noise(rng, (image.shape[0], image.shape[1]))
            degraded = cv2.addWeighted(degraded, 1, noise, self.noise / 4, -128 * self.noise / 4)
        if self.jpeg_quality:
            degraded = _compressed(degraded, self.jpeg_quality)
        return np.asarray(degraded, dtype=np.uint8)


CLEAN: Final = Camera()
"Neither moves nor degrades."


def draw_camera(effects: tuple[str, ...], rng: np.random.Generator) -> Camera:
    """Draw a random camera that has some of the effects."""

    def has(effect: str, probability: float) -> bool:
        return bool(rng.random() < probability) and effect in effects

    exposed, pans = "exposure" in effects, has("pan", 0.4)
    return Camera(
        gain=float(rng.uniform(0.8, 1.15)) if exposed else 1.0,
        brightness=float(rng.uniform(-10, 12)) if exposed else 0.0,
        blur_sigma_px=float(rng.uniform(0.4, 1.1)) if has("blur", 0.4) else 0.0,
        noise=int(rng.integers(1, 4)) if has("noise", 0.4) else 0,
        jpeg_quality=int(rng.integers(25, 90)) if has("jpeg", 0.5) else 0,
        pan=(float(rng.uniform(-0.15, 0.15)), float(rng.uniform(-0.06, 0.06))) if pans else (0.0, 0.0),
        zoom=float(rng.uniform(-0.12, 0.2)) if has("zoom", 0.25) else 0.0,
        shake=float(rng.uniform(0.002, 0.008)) if has("shake", 0.3) else 0.0,
        flicker=float(rng.uniform(0.05, 0.2)) if has("flicker", 0.3) else 0.0,
        shutter=float(rng.uniform(0.3, 1.0)) if has("motion blur", 0.5) else 0.0,
        resolution=float(rng.uniform(0.55, 0.9)) if has("downscale", 0.25) else 1.0,
        rate_rad_s=float(rng.uniform(0.6, 1.8)),
    )


def _downscaled(image: MatLike, share: float) -> MatLike:
    small = cv2.resize(image, None, fx=share, fy=share)
    return cv2.resize(small, image.shape[1::-1])


def _compressed(image: MatLike, quality: int) -> Image:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, coded = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
