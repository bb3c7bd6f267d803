"""A checkpoint's graphs as one stream runs them: numpy in, numpy out, prompts by the tracker's policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.backends.graph import Array
from engines.geometry import quartered, to_prompt
from engines.tracking.compiled import CompiledTracker
from engines.tracking.memory_bank import Batch, Memory
from engines.tracking.memory_policy import TrackerPolicy
from engines.tracking.shape import POINTS
from streaming.vocabulary import Click, Logits, Pixels

Levels = tuple[Array, Array, Array]
"""features, mid, fine, as `pyramid.PictureEncoder` gives them."""

GIVEN_LOGIT = 10.0
"""A given mask as logits, and whether there is one as a score: minus this where not (sam2_base.py,
`_use_mask_as_output`)."""


class Decoded(NamedTuple):
    """What was decoded of B objects on one picture."""

    logits: NDArray[np.float32]
    "(B, 4h, 4w), not blanked where the object is away."
    iou: NDArray[np.float32]
    "(B,) 0..1"
    score: NDArray[np.float32]
    "(B,) logit of presence"
    pointer: NDArray[np.float32]
    "(B, C)"


class SamNetwork:
    """The runners of one stream. What they return is valid until they are called again."""

    def __init__(self, compiled: CompiledTracker, policy: TrackerPolicy) -> None:
        self.shape = compiled.shape
        self._policy = policy
        self._encode = compiled.encode.runner()
        self._prompt = compiled.prompt.runner()
        self._point = compiled.point.runner()
        self._track = compiled.track.runner()
        self._remember = compiled.remember.runner()

    def encode(self, picture: Pixels) -> Levels:
        """(S, S, 3) -> its features."""
        features, mid, fine = self._encode(picture[None])
        return features, mid, fine

    def track(self, levels: Levels, bank: Batch) -> Decoded:
        """Every object of a bank on one picture."""
        return Decoded(*self._track(*levels, *bank))

    def remember(self, levels: Levels, decoded: Decoded) -> NDArray[np.float32]:
        """Memories (B, n, D) of what was tracked."""
        return self._memory(levels, decoded.logits, decoded.score, prompted=False)

    def given(self, levels: Levels, masks: Sequence[Logits]) -> list[Memory | None]:
        """Memories of masks that somebody drew, (h, w) logits of the whole picture; None where unsound."""
        if not masks:
            return []
        drawn = np.stack([to_prompt(one, self.shape.side_px) for one in masks])
        pointer, memory = self._prompt(*levels, drawn)
        if self._policy.given_as_decoded:
            there = np.where(drawn.any(axis=(1, 2)), GIVEN_LOGIT, -GIVEN_LOGIT).astype(np.float32)
            logits = quartered((2 * drawn - 1) * np.float32(GIVEN_LOGIT))
            memory = self._memory(levels, logits, there, prompted=True)
        return _memories(memory, pointer)

    def clicked(self, levels: Levels, click: Click) -> tuple[Decoded, Memory | None]:
        """What a click means, decoded, and its memory; None where unsound. See `fits` first."""
        decoded = Decoded(*self._point(*levels, *self._points(click)))
        memory = self._memory(levels, decoded.logits, decoded.score, prompted=True)
        return decoded, _memories(memory, decoded.pointer)[0]

    def _points(self, click: Click) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As `graphs.PointPrompt` takes them: a box is two points, which come first."""
        corners = np.array([] if click.box is None else click.box, np.float32).reshape(-1, 2)
        marks = np.concatenate([[2, 3][: len(corners)], click.on_object.astype(np.int64)])
        points, labels = np.zeros((1, POINTS, 2), np.float32), np.full((1, POINTS), -1, np.int64)
        points[0, : len(marks)] = np.concatenate([corners, click.points]) * np.float32(self.shape.side_px)
        labels[0, : len(marks)] = marks
        return points, labels

    def _memory(self, levels: Levels, logits: Array, score: Array, *, prompted: bool) -> NDArray[np.float32]:
        (memory,) = self._remember(levels[0], logits, score, np.full(len(score), prompted))
        return memory


def fits(click: Click) -> bool:
    """Whether `SamNetwork.clicked` takes it: 1 to POINTS finite points, a box counting two."""
    count = len(click.on_object) + (0 if click.box is None else 2)
    finite = np.isfinite(click.points).all() and np.isfinite(click.box or 0.0).all()
    return bool(click.points.shape == (len(click.on_object), 2) and 1 <= count <= POINTS and finite)


def finite_rows(*arrays: Array) -> NDArray[np.bool_]:
    """Which rows of a batch hold only numbers in every array."""
    # A sum is finite only if every term is; far cheaper than looking at each.
    with np.errstate(invalid="ignore", over="ignore"):
        total = sum(array.reshape(array.shape[0], -1).sum(axis=1) for array in arrays)
    sound: NDArray[np.bool_] = np.isfinite(total)
    return sound


def _memories(memory: NDArray[np.float32], pointer: NDArray[np.float32]) -> list[Memory | None]:
    sound = finite_rows(memory, pointer)
    return [Memory(memory[k], pointer[k]) if sound[k] else None for k in range(len(pointer))]
