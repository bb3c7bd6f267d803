"""A tracker's programs without a network: it follows the mean colour of the mask it was given."""

from __future__ import annotations

import numpy as np

from engines.tracking.compiled import GRAPHS, CompiledTracker
from engines.tracking.shape import TrackerShape

SIDE = 32
SHAPE = TrackerShape(
    side_px=SIDE, map_px=8, places=64, channels=3, memory_channels=2, recent_memories=2, recent_pointers=3
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
        self.calls = dict.fromkeys(GRAPHS, 0)

    def compiled(self) -> CompiledTracker:
        programs = {graph: _Program(getattr(self, f"_{graph}")) for graph in GRAPHS}
        return CompiledTracker("colour", "numpy", SHAPE, "colours", **programs)

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
        _, _, _, pointer, _, pointer_bias = rest[2:]
        given = SHAPE.given_memories
        last = np.where(pointer_bias[:, given - 1] == 0, given - 1, 0)
        colour = pointer[np.arange(len(pointer)), last]
        logits = 60 - np.abs(features - colour[:, :, None, None]).max(axis=1)
        score = np.where((logits > 0).any(axis=(1, 2)), 4.0, -4.0).astype(np.float32)
        return logits.astype(np.float32), np.ones(len(colour), np.float32), score, colour

    def _point(self, features: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        """The colour under the first point, or in the middle of the box."""
        self.calls["point"] += 1
        points, labels = rest[-2:]
        middle = np.where(labels[:, :1] == 2, points[:, :2].mean(axis=1), points[:, 0]).astype(int)
        colour = features[0][:, middle[:, 1], middle[:, 0]].T
        logits = 60 - np.abs(features - colour[:, :, None, None]).max(axis=1)
        nothing = np.full(len(colour), 4.0, np.float32)
        return logits.astype(np.float32), np.ones(len(colour), np.float32), nothing, colour.copy()

    def _remember(self, features: np.ndarray, logits: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray]:
        self.calls["remember"] += 1
        memory = np.zeros((len(logits), SHAPE.places, SHAPE.memory_channels), np.float32)
        return (memory + features.sum() * 0,)
