"""Noise textures, computed once and cropped at random: new noise per image would cost more than drawing."""

from __future__ import annotations

from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE: Final = 512
_GRAIN_SIDE: Final = 1088


def fractal_noise(
    rng: np.random.Generator, size: tuple[int, int], detail: float, stretch: float = 1.0
) -> NDArray[np.float32]:
    """Crop (H, W) fractal noise of mean about 0 and standard deviation about 1.

    `detail` is the share of the texture that the width shows, 0..1: more is finer. `stretch` above 1 makes
    vertical streaks, below 1 horizontal ones.
    """
    height, width = size
    across = min(max(detail * _SIDE, 8.0), _SIDE - 2.0)
    down = min(max(across * height / width / stretch, 4.0), _SIDE - 2.0)
    x, y = round(rng.uniform(0, _SIDE - across)), round(rng.uniform(0, _SIDE - down))
    layer = _fractal()[int(rng.integers(3))]
    # A crop at whole pixels: resizing it takes a seventh of the time of a subpixel warp.
    window = layer[y : y + round(down), x : x + round(across)]
    return np.asarray(cv2.resize(window, (width, height)), dtype=np.float32)


def sensor_noise(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Crop (H, W, 3) white noise of mean 128 and standard deviation 12; no side of `size` above 1088."""
    height, width = size
    y, x = int(rng.integers(0, _GRAIN_SIDE + 1 - height)), int(rng.integers(0, _GRAIN_SIDE + 1 - width))
    return _grain()[y : y + height, x : x + width]


@cache
def _fractal() -> NDArray[np.float32]:
    """Compute (3, 512, 512): noise with the 1/f amplitude spectrum of natural images (Field 1987)."""
    rng = np.random.default_rng(7)
    frequency = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(3, _SIDE, _SIDE))) / frequency**1.15
    layers = np.fft.irfft2(spectrum, s=(_SIDE, _SIDE))
    return np.asarray(layers / layers.std(axis=(1, 2), keepdims=True), dtype=np.float32)


@cache
def _grain() -> NDArray[np.uint8]:
    rng = np.random.default_rng(8)
    return (128 + rng.normal(0, 12, size=(_GRAIN_SIDE, _GRAIN_SIDE, 3))).astype(np.uint8)
