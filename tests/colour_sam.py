"""A tracker's three programs without a network: it follows the mean colour of the mask it was given."""

from __future__ import annotations

import numpy as np

from engines.tracking.compiled import GIVEN_SLOTS, CompiledTracker, TrackerShape

SIDE = 32
SHAPE = TrackerShape(
    side_px=SIDE, map_px=8, channels=3, memory_channels=2, recent_memories=2, recent_pointers=3
)


class _Program:
    def __init__(self, run: object) -> None:
        self._run = run

    def runner(self) -> object:
        return self._run


class ColourSam:
    """Pointer = mean colour under the mask; logits = nearness to the colour last given.

    `broken` makes every number it says of a picture NaN, as an overflow would.
    """

    level_bytes = SIDE * SIDE * 3 * 4 + 4 + 4

    def __init__(self) -> None:
        self.broken = False
        self.calls = {"encode": 0, "prompt": 0, "track": 0}

    def compiled(self) -> CompiledTracker:
        return CompiledTracker(
            "colour", "numpy", SHAPE, _Program(self._encode), _Program(self._prompt), _Program(self._track)
        )

    def _encode(self, pixels: np.ndarray) -> tuple[np.ndarray, ...]:
        assert pixels.shape == (1, SIDE, SIDE, 3) and pixels.dtype == np.uint8
        self.calls["encode"] += 1
        nothing = np.zeros((1, 1), np.float32)
        features = pixels.transpose(0, 3, 1, 2).astype(np.float32)
        return (features * np.nan if self.broken else features), nothing, nothing.copy()

    def _prompt(self, features: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.calls["prompt"] += 1
        mask = rest[-1]
        assert mask.dtype == np.float32 and mask.shape[1:] == (SIDE, SIDE)
        area = np.maximum(mask.sum(axis=(1, 2)), 1)
        colour = np.einsum("chw,bhw->bc", features[0], mask) / area[:, None]
        memory = np.zeros((len(mask), SHAPE.places, SHAPE.memory_channels), np.float32)
        return colour.astype(np.float32), memory

    def _track(self, features: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        self.calls["track"] += 1
        memory, _, _, pointer, _, pointer_bias = rest[2:]
        last = np.where(pointer_bias[:, GIVEN_SLOTS - 1] == 0, GIVEN_SLOTS - 1, 0)
        colour = pointer[np.arange(len(pointer)), last]
        logits = 60 - np.abs(features - colour[:, :, None, None]).max(axis=1)
        score = np.where((logits > 0).any(axis=(1, 2)), 4.0, -4.0).astype(np.float32)
        return logits.astype(np.float32), np.ones(len(colour), np.float32), score, colour, memory[:, 0]
