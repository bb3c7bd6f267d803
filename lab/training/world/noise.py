"""Fractal noise, made once and looked at through windows: sampling it anew would cost more than drawing."""

from __future__ import annotations

from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE: Final = 512
_GRAIN_SIDE: Final = 1088


def field(
    rng: np.random.Generator, size: tuple[int, int], detail: float, stretch: float = 1.0
) -> NDArray[np.float32]:
    """(H, W) noise of mean about 0 and deviation about 1, smooth at every scale.

    `detail` is the share of the whole noise that the picture's width shows, 0..1: more of it is finer.
    `stretch` above 1 makes streaks that stand, below 1 streaks that lie.
    """
    height, width = size
    across = min(max(detail * _SIDE, 8.0), _SIDE - 2.0)
    down = min(max(across * height / width / stretch, 4.0), _SIDE - 2.0)
    x, y = round(rng.uniform(0, _SIDE - across)), round(rng.uniform(0, _SIDE - down))
    layer = _fractal()[int(rng.integers(3))]
    # A window of whole pixels: resizing it costs a seventh of warping from between them.
    window = layer[y : y + round(down), x : x + round(across)]
    return np.asarray(cv2.resize(window, (width, height)), dtype=np.float32)


def grain(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) independent noise of deviation 12 about 128; no side of `size` above 1088."""
    height, width = size
    y, x = int(rng.integers(0, _GRAIN_SIDE + 1 - height)), int(rng.integers(0, _GRAIN_SIDE + 1 - width))
    return _grain()[y : y + height, x : x + width]


@cache
def _fractal() -> NDArray[np.float32]:
    """(3, 512, 512) noise with the 1/f amplitudes of natural pictures (Field 1987)."""
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
