"""The graphs of a checkpoint as one stream runs them: numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.backends.graph import Array
from engines.geometry import downsample_by_4, to_mask_prompt
from engines.tracking.compiled import CompiledTracker
from engines.tracking.memory_bank import Batch, ObjectMemory
from engines.tracking.memory_policy import TrackerPolicy
from engines.tracking.shape import POINTS
from streaming.vocabulary import Click, Logits, Pixels

FeatureLevels = tuple[Array, Array, Array]
"""features (stride 16), high_res_s1 (stride 8), high_res_s0 (stride 4): see `image_encoder.ImageEncoder`."""

MASK_LOGIT = 10.0
"""Logit and object score of a mask prompt; minus this outside the mask and for an empty one (sam2_base.py,
`_use_mask_as_output`)."""


class DecodedObjects(NamedTuple):
    """Mask decoder output for B objects on one frame."""

    logits: NDArray[np.float32]
    "(B, 4h, 4w), also where the object score is negative."
    iou: NDArray[np.float32]
    "(B,) predicted IoU, 0..1."
    object_score: NDArray[np.float32]
    "(B,) logit of presence."
    obj_ptr: NDArray[np.float32]
    "(B, C) object pointer."


class TrackerRunners:
    """The runners of one stream. Returned arrays are valid until the same graph runs again."""

    def __init__(self, compiled: CompiledTracker, policy: TrackerPolicy) -> None:
        self.shape = compiled.shape
        self._policy = policy
        self._encode = compiled.encode.runner()
        self._prompt = compiled.prompt.runner()
        self._point = compiled.point.runner()
        self._track = compiled.track.runner()
        self._remember = compiled.remember.runner()

    def encode_image(self, image: Pixels) -> FeatureLevels:
        """Encode an image (S, S, 3) uint8 RGB."""
        features, high_res_s1, high_res_s0 = self._encode(image[None])
        return features, high_res_s1, high_res_s0

    def track(self, levels: FeatureLevels, bank: Batch) -> DecodedObjects:
        """Attend to the memories of every object in a batch and decode its mask."""
        return DecodedObjects(*self._track(*levels, *bank))

    def encode_memory(self, levels: FeatureLevels, decoded: DecodedObjects) -> NDArray[np.float32]:
        """Return memories (B, n, D) of decoded masks."""
        return self._memory(levels, decoded.logits, decoded.object_score, prompted=False)

    def encode_mask_prompts(
        self, levels: FeatureLevels, masks: Sequence[Logits]
    ) -> list[ObjectMemory | None]:
        """Return conditioning memories of masks, (h, w) logits of the whole image; None where not finite."""
        if not masks:
            return []
        prompts = np.stack([to_mask_prompt(mask, self.shape.side_px) for mask in masks])
        obj_ptr, memory = self._prompt(*levels, prompts)
        if self._policy.cond_masks_as_decoded:
            present = np.where(prompts.any(axis=(1, 2)), MASK_LOGIT, -MASK_LOGIT).astype(np.float32)
            logits = downsample_by_4((2 * prompts - 1) * np.float32(MASK_LOGIT))
            memory = self._memory(levels, logits, present, prompted=True)
        return _object_memories(memory, obj_ptr)

    def decode_click(self, levels: FeatureLevels, click: Click) -> tuple[DecodedObjects, ObjectMemory | None]:
        """Decode a valid click without memory; its memory is None where not finite."""
        decoded = DecodedObjects(*self._point(*levels, *self._points(click)))
        memory = self._memory(levels, decoded.logits, decoded.object_score, prompted=True)
        return decoded, _object_memories(memory, decoded.obj_ptr)[0]

    def _points(self, click: Click) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return points (1, POINTS, 2) in image pixels and labels (1, POINTS); a box's corners come first."""
        corners = np.array([] if click.box is None else click.box, np.float32).reshape(-1, 2)
        marks = np.concatenate([[2, 3][: len(corners)], click.on_object.astype(np.int64)])
        points, labels = np.zeros((1, POINTS, 2), np.float32), np.full((1, POINTS), -1, np.int64)
        points[0, : len(marks)] = np.concatenate([corners, click.points]) * np.float32(self.shape.side_px)
        labels[0, : len(marks)] = marks
        return points, labels

    def _memory(
        self, levels: FeatureLevels, logits: Array, object_score: Array, *, prompted: bool
    ) -> NDArray[np.float32]:
        flags = np.full(len(object_score), prompted)
        (memory,) = self._remember(levels[0], logits, object_score, flags)
        return memory


def is_valid_click(click: Click) -> bool:
    """Whether a click has 1 to POINTS finite points, a box counting as two."""
    count = len(click.on_object) + (0 if click.box is None else 2)
    finite = np.isfinite(click.points).all() and np.isfinite(click.box or 0.0).all()
    return bool(click.points.shape == (len(click.on_object), 2) and 1 <= count <= POINTS and finite)


def finite_rows(*arrays: Array) -> NDArray[np.bool_]:
    """Return (B,) bool: True for the rows of a batch that are finite in every array."""
    # A sum is finite only if every term is; much cheaper than isfinite on each element.
    with np.errstate(invalid="ignore", over="ignore"):
        total = sum(array.reshape(array.shape[0], -1).sum(axis=1) for array in arrays)
    finite: NDArray[np.bool_] = np.isfinite(total)
    return finite


def _object_memories(memory: NDArray[np.float32], obj_ptr: NDArray[np.float32]) -> list[ObjectMemory | None]:
    finite = finite_rows(memory, obj_ptr)
    return [ObjectMemory(memory[k], obj_ptr[k]) if finite[k] else None for k in range(len(obj_ptr))]
