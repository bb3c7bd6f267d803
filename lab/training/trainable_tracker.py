"""Who learns to follow: SAM-2 stepped through clips, what teaches it, and the running mean of what it was."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import Sam2VideoModel

from engines.tracking.graphs import MaskPrompt, EncodeMemory, TrackStep
from engines.tracking.hiera import HieraImageEncoder
from lab.training.checkpoint import Stateful
from lab.training.device import to_device
from lab.training.ema import blend
from lab.training.optimiser import Optimisers
from lab.training.tracker_clips import Batch
from lab.training.trainer import Figures

Remembered = list[tuple[int, Tensor, Tensor]]
"""Frame, pointer and memory of each."""


@dataclass(frozen=True, slots=True, eq=False)
class Exercise:
    """Clips to follow things through."""

    clips: Batch
    prompts: dict[int, Tensor]
    "By frame, the first one among them: masks (B, S, S) float32, 0 or 1, true or as coarse as a grounder's."


class TrainedTracker(nn.Module):
    """The graphs over one model, followed through clips with gradients."""

    def __init__(self, model: Sam2VideoModel) -> None:
        super().__init__()
        self.model = model
        self.encode = HieraImageEncoder(model)
        self.prompt = MaskPrompt(model)
        self.track = TrackStep(model)
        self.remember = EncodeMemory(model)
        self.recent_memories = model.config.num_maskmem - 1
        self.recent_obj_ptrs = model.config.max_object_pointers_in_encoder - 1

    def follow(self, frames: Tensor, prompts: dict[int, Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Follow the objects of K clips at once.

        frames (K, T, S, S, 3) uint8; prompts: by frame index (B, S, S) float32, 0 or 1, B a multiple of K;
        must hold 0. Returns for frames 1..T-1 (logits (B, 64, 64), iou (B,), score (B,)).
        """
        clips, length = frames.shape[:2]
        levels = self.encode(frames.flatten(0, 1))
        levels = [level.unflatten(0, (clips, length)) for level in levels]
        given: Remembered = []
        recent: Remembered = []
        seen = []
        for index in range(length):
            here = [level[:, index] for level in levels]
            if index:
                decoded, pointer, memory = self._look(here, self._bank(index, given, recent))
                seen.append(decoded)
                recent = [*recent, (index, pointer, memory)][-self.recent_obj_ptrs :]
            if index in prompts:
                pointer, memory = self.prompt(*here, prompts[index])
                given = [*given[:1], (index, pointer, memory)]
        return seen

    def _look(
        self, here: list[Tensor], bank: tuple[Tensor, ...]
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor, Tensor]:
        """Decode and remember a frame's levels: (logits, iou, score), pointer, memory."""
        logits, iou, score, pointer = self.track(*here, *bank)
        (memory,) = self.remember(here[0], logits, score, torch.zeros_like(score, dtype=torch.bool))
        return (logits, iou, score), pointer, memory

    def _bank(self, now: int, given: Remembered, recent: Remembered) -> tuple[Tensor, ...]:
        """What `track` takes of memories that were given and that were made, on frame `now`."""
        last = recent[-self.recent_memories :]
        memory = torch.stack([entry[2] for entry in given + last], dim=1)
        ages = [0] * len(given) + [now - entry[0] for entry in last]
        memory_age = torch.tensor(ages, device=memory.device).expand(memory.shape[0], -1)
        memory_bias = torch.zeros(memory_age.shape, device=memory.device)
        pointer = torch.stack([entry[1] for entry in given + recent], dim=1)
        pointer_ages = [float(min(now - entry[0], self.recent_obj_ptrs)) for entry in given + recent]
        pointer_age = torch.tensor(pointer_ages, device=memory.device).expand(memory.shape[0], -1)
        pointer_bias = torch.zeros(pointer_age.shape, device=memory.device)
        return memory, memory_age, memory_bias, pointer, pointer_age, pointer_bias


class Follower:
    """A tracker that learns, and the mean of its last weights, which is what is exported."""

    def __init__(self, tracker: TrainedTracker, optimisers: Optimisers) -> None:
        """`optimisers` teach what of the tracker learns; it is where it will be trained."""
        self.average: Sam2VideoModel = deepcopy(tracker.model)
        self._tracker = tracker
        self._optimisers = optimisers

    @property
    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint keeps of it."""
        return {"model": self._tracker.model, "average": self.average, "optimisers": self._optimisers}

    def learn(
        self, teach: Callable[[TrainedTracker, Exercise], Figures], exercise: Exercise, rate: float
    ) -> Figures:
        """One step at a share 0..1 of the peak rates; `teach` follows, gathers gradients and tells how it
        went."""
        device = next(self._tracker.parameters()).device
        figures = teach(self._tracker, to_device(exercise, device))
        self._optimisers.step(rate)
        blend(self.average, self._tracker.model)
        return figures
