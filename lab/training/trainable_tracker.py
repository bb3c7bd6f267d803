"""The trainable tracker: SAM-2's graphs stepped through clips, and the EMA of its weights."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from transformers import Sam2VideoModel

from engines.tracking.graphs import EncodeMemory, MaskPrompt, TrackStep
from engines.tracking.hiera import HieraImageEncoder
from lab.training.checkpoint import Stateful
from lab.training.device import to_device
from lab.training.optimiser import Optimisers
from lab.training.tracker_clips import TrackerBatch
from lab.training.trainer import Metrics

EMA_DECAY: Final = 0.995
"Weight of the past in the EMA (exponential moving average) of the weights: about the last 200 steps count."


class MemoryEntry(NamedTuple):
    """What is remembered of a frame, of B objects."""

    frame: int
    obj_ptr: Tensor
    "(B, C)."
    memory: Tensor
    "(B, n, D)."


class FramePrediction(NamedTuple):
    """What is predicted on a frame, for B objects."""

    logits: Tensor
    "(B, S / 4, S / 4) mask logits."
    iou: Tensor
    "(B,) predicted IoU, 0..1."
    object_score: Tensor
    "(B,) logit of presence."


class TrainableTracker(nn.Module):
    """The graphs that run in service (`engines/tracking/graphs.py`) over one model, with gradients."""

    def __init__(self, model: Sam2VideoModel) -> None:
        super().__init__()
        self.model = model
        self.encode = HieraImageEncoder(model)
        self.prompt = MaskPrompt(model)
        self.track = TrackStep(model)
        self.remember = EncodeMemory(model)
        self.recent_memories = model.config.num_maskmem - 1
        self.recent_obj_ptrs = model.config.max_object_pointers_in_encoder - 1

    def track_clips(self, frames: Tensor, prompts: dict[int, Tensor]) -> list[FramePrediction]:
        """Track the objects of K clips of T frames, all at once.

        frames: (K, T, S, S, 3) uint8 RGB. prompts: mask prompts (B, S, S) float32, 0 or 1, by frame index; B
        is a multiple of K and there is a prompt on frame 0. Returns the predictions of frames 1..T-1.
        """
        clips, length = frames.shape[:2]
        levels = self.encode(frames.flatten(0, 1))
        levels = [level.unflatten(0, (clips, length)) for level in levels]
        cond: list[MemoryEntry] = []
        recent: list[MemoryEntry] = []
        predictions = []
        for index in range(length):
            features = [level[:, index] for level in levels]
            if index:
                prediction, entry = self._track_frame(index, features, self._bank(index, cond, recent))
                predictions.append(prediction)
                recent = [*recent, entry][-self.recent_obj_ptrs :]
            if index in prompts:
                obj_ptr, memory = self.prompt(*features, prompts[index])
                cond = [*cond[:1], MemoryEntry(index, obj_ptr, memory)]
        return predictions

    def _track_frame(
        self, index: int, features: list[Tensor], bank: tuple[Tensor, ...]
    ) -> tuple[FramePrediction, MemoryEntry]:
        """Decode the masks of a frame and encode its memory."""
        logits, iou, score, obj_ptr = self.track(*features, *bank)
        (memory,) = self.remember(features[0], logits, score, torch.zeros_like(score, dtype=torch.bool))
        return FramePrediction(logits, iou, score), MemoryEntry(index, obj_ptr, memory)

    def _bank(self, now: int, cond: list[MemoryEntry], recent: list[MemoryEntry]) -> tuple[Tensor, ...]:
        """Return the memory inputs of `TrackStep` on frame `now`: conditioning entries, then recent ones."""
        last = recent[-self.recent_memories :]
        memory = torch.stack([entry.memory for entry in cond + last], dim=1)
        ages = [0] * len(cond) + [now - entry.frame for entry in last]
        memory_age = torch.tensor(ages, device=memory.device).expand(memory.shape[0], -1)
        memory_bias = torch.zeros(memory_age.shape, device=memory.device)
        obj_ptr = torch.stack([entry.obj_ptr for entry in cond + recent], dim=1)
        ptr_ages = [float(min(now - entry.frame, self.recent_obj_ptrs)) for entry in cond + recent]
        obj_ptr_age = torch.tensor(ptr_ages, device=memory.device).expand(memory.shape[0], -1)
        obj_ptr_bias = torch.zeros(obj_ptr_age.shape, device=memory.device)
        return memory, memory_age, memory_bias, obj_ptr, obj_ptr_age, obj_ptr_bias


Backward = Callable[[TrainableTracker, TrackerBatch], Metrics]
"""Runs a batch, on the tracker's device, adds to the gradients of its weights and returns metrics."""


@dataclass(slots=True, eq=False)
class TrackerLearner:
    """A trainable tracker with its optimisers and the EMA of its weights, which is what is exported.

    Steps of few clips are noisy; their mean is better than the last of them.
    """

    tracker: TrainableTracker
    "On the device that it trains on."
    optimisers: Optimisers
    ema: Sam2VideoModel

    @classmethod
    def of(cls, tracker: TrainableTracker, optimisers: Optimisers) -> TrackerLearner:
        """Begin with an EMA equal to the weights."""
        return cls(tracker, optimisers, deepcopy(tracker.model))

    @property
    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        return {"model": self.tracker.model, "ema": self.ema, "optimisers": self.optimisers}

    def step(self, backward: Backward, batch: TrackerBatch, lr_scale: float) -> Metrics:
        """Take an optimiser step on a batch at `lr_scale` (0..1) times the peak learning rates."""
        device = next(self.tracker.parameters()).device
        metrics = backward(self.tracker, to_device(batch, device))
        self.optimisers.step(lr_scale)
        self._update_ema()
        return metrics

    @torch.no_grad()
    def _update_ema(self) -> None:
        """Move the EMA towards the weights; buffers stay, they are not trained."""
        for mean, weight in zip(self.ema.parameters(), self.tracker.model.parameters(), strict=True):
            mean.lerp_(weight, 1 - EMA_DECAY)
