"""A compiled tracker without a network: it segments the mean colour of the mask prompt."""

from __future__ import annotations

import numpy as np

from engines.tracking.compiled import GRAPHS, CompiledTracker
from engines.tracking.shape import TrackerShape

SIDE = 32
SHAPE = TrackerShape(
    side_px=SIDE,
    feature_px=8,
    memory_tokens=64,
    channels=3,
    memory_channels=2,
    recent_memories=2,
    recent_obj_ptrs=3,
)


class _Program:
    def __init__(self, run: object) -> None:
        self._run = run

    def runner(self) -> object:
        return self._run


class ColourSam:
    """Object pointer: mean colour under the mask. Logits: similarity to the last conditioning pointer.

    `broken` makes all features NaN, as an overflow would.
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
        unused = np.zeros((1, 1), np.float32)
        features = pixels.transpose(0, 3, 1, 2).astype(np.float32)
        return (features * np.nan if self.broken else features), unused, unused.copy()

    def _prompt(self, features: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.calls["prompt"] += 1
        mask = rest[-1]
        assert mask.dtype == np.float32 and mask.shape[1:] == (SIDE, SIDE)
        area = np.maximum(mask.sum(axis=(1, 2)), 1)
        colour = np.einsum("chw,bhw->bc", features[0], mask) / area[:, None]
        memory = np.zeros((len(mask), SHAPE.memory_tokens, SHAPE.memory_channels), np.float32)
        return colour.astype(np.float32), memory

    def _track(self, features: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        self.calls["track"] += 1
        _, _, _, obj_ptr, _, obj_ptr_bias = rest[2:]
        slots = SHAPE.cond_memories
        last = np.where(obj_ptr_bias[:, slots - 1] == 0, slots - 1, 0)
        colour = obj_ptr[np.arange(len(obj_ptr)), last]
        logits = 60 - np.abs(features - colour[:, :, None, None]).max(axis=1)
        object_score = np.where((logits > 0).any(axis=(1, 2)), 4.0, -4.0).astype(np.float32)
        return logits.astype(np.float32), np.ones(len(colour), np.float32), object_score, colour

    def _point(self, features: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        """Segment the colour under the first point, or at the centre of the box."""
        self.calls["point"] += 1
        points, labels = rest[-2:]
        centre = np.where(labels[:, :1] == 2, points[:, :2].mean(axis=1), points[:, 0]).astype(int)
        colour = features[0][:, centre[:, 1], centre[:, 0]].T
        logits = 60 - np.abs(features - colour[:, :, None, None]).max(axis=1)
        object_score = np.full(len(colour), 4.0, np.float32)
        return logits.astype(np.float32), np.ones(len(colour), np.float32), object_score, colour.copy()

    def _remember(self, features: np.ndarray, logits: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray]:
        self.calls["remember"] += 1
        memory = np.zeros((len(logits), SHAPE.memory_tokens, SHAPE.memory_channels), np.float32)
        return (memory + features.sum() * 0,)
