"""How the tracker learns not to drift: long clips at the pace of a camera, its picture encoder fixed.

Stage `tracker` teaches what a few frames show. Followed for seconds, such a tracker eats its own small
errors: after 50 frames IoU had fallen from 0.80 to 0.14 (held-out clips at 30 fps). Here clips are up to 20
frames long, memories are the tracker's own, and gradients reach back over three frames only, so that a step
costs what its frames cost.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engines.tracking.checkpoints import save_tracker
from engines.training.clips import SIDE_PX, Batch, coarse
from engines.training.tracker_recipe import AVERAGING, TrainedTracker, fresh_tracker
from engines.training.world.holdout import HELD_OUT_SEED
from engines.training.world.levels import KNOWN, Level
from engines.training.world.scenes import draw_clip

REACH: Final = 3
"Frames that a gradient passes back through memory."
STRIDES: Final = (1.0, 1.0, 2.0, 3.0, 4.0)
"Frames of 1/30 s from one sample to the next: mostly a camera's own pace, where errors gather."
CLEAR: Final = 0.006
"Share of the picture a thing has to fill on the first frame."
SURE_CELLS: Final = 12
"Cells of the mask from which on a thing counts as seen; with fewer nothing is taught about its presence."
LATE_EVERY: Final = 3
"Steps to one with a second, late prompt."

Remembered = list[tuple[int, Tensor, Tensor]]
Tell = Callable[[dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class MemoryRun:
    """One run of the stage; the same `directory` resumes it."""

    directory: Path
    "Holds last.pt."
    start: Path
    "last.pt of stage `tracker`, whose averaged weights it begins with."
    export: Path | None = None
    "Where the newest weights go in the published layout; None: nowhere."
    budget_s: float = 1800.0
    "Time to train, earlier sessions of the run included."
    run: int = 77
    clips: int = 2
    objects: int = 3
    adam_rate: float = 4e-4
    checkpoint_s: float = 120.0


def train_memory(run: MemoryRun, tell: Tell) -> None:
    """Train until the budget is spent; call again to go on after an interruption."""
    course = _Course(run)
    saved_s = time.monotonic()
    figures: list[dict[str, float]] = []
    while course.spent_s < run.budget_s:
        figures.append(course.step_once())
        if len(figures) == 10:
            means = {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}
            tell({"step": course.step, "elapsed_s": round(course.spent_s, 1), **means})
            figures.clear()
        if time.monotonic() - saved_s > run.checkpoint_s:
            saved_s = time.monotonic()
            course.save()
    course.save()


def draw_long(seed: int, shape: tuple[int, int, int], level: Level = KNOWN) -> Batch:
    """Clips of one seed at one pace each; shape is (clips, objects of each, frames)."""
    clips, objects, length = shape
    rng = np.random.default_rng(seed)
    frames: list[NDArray[np.uint8]] = []
    masks: list[NDArray[np.bool_]] = []
    while len(frames) < clips:
        stride, number = float(rng.choice(STRIDES)), int(rng.integers(HELD_OUT_SEED))
        clip = draw_clip(number, frames=length, size=(SIDE_PX, SIDE_PX), stride=stride, level=level)
        clear = [n for n in range(len(clip.things)) if clip.masks[0, n].mean() > CLEAR]
        if not clear:
            continue
        chosen = [clear[k % len(clear)] for k in rng.permutation(max(objects, len(clear)))[:objects]]
        frames.append(clip.frames)
        masks.append(clip.masks[:, chosen])
    stacked = np.concatenate(masks, axis=1)
    return Batch(torch.from_numpy(np.stack(frames)), torch.from_numpy(stacked).float())


class _Course:
    """A tracker, its running mean and where the training is."""

    def __init__(self, run: MemoryRun) -> None:
        self._run = run
        self._model = fresh_tracker(run.run)
        self._model.load_state_dict(torch.load(run.start, weights_only=True)["average"])
        self._average = deepcopy(self._model)
        self._tracker = TrainedTracker(self._model)
        self._model.vision_encoder.requires_grad_(False)
        self._learning = [weight for weight in self._model.parameters() if weight.requires_grad]
        self._optimiser = torch.optim.AdamW(
            self._learning, lr=run.adam_rate, betas=(0.9, 0.98), weight_decay=0.01
        )
        self.step, self.spent_s = 0, 0.0
        run.directory.mkdir(parents=True, exist_ok=True)
        if self._last.is_file():
            self._resume()

    @property
    def _last(self) -> Path:
        return self._run.directory / "last.pt"

    def step_once(self) -> dict[str, float]:
        """Draw, follow, learn."""
        started_s = time.monotonic()
        share = min(self.spent_s / self._run.budget_s, 1.0)
        for group in self._optimiser.param_groups:
            group["lr"] = self._run.adam_rate * rate_at(share, self.step)
        length = 12 if share < 0.5 else 20
        seed = self._run.run * 10**6 + self.step
        batch = draw_long(seed, (self._run.clips, self._run.objects, length))
        prompts = self._prompts(batch.masks, seed)
        self._optimiser.zero_grad(set_to_none=True)
        figures = follow(self._tracker, batch, prompts)
        if torch.isfinite(nn.utils.clip_grad_norm_(self._learning, 1.0)):
            self._optimiser.step()
        self._blend()
        self.step += 1
        self.spent_s += time.monotonic() - started_s
        return figures

    def save(self) -> None:
        """Write a checkpoint beside the old one and rename it over it; export the running mean."""
        state = {
            "model": self._model.state_dict(),
            "average": self._average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
        }
        partial = self._last.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self._last)
        if self._run.export is not None:
            save_tracker(self._average, self._run.export)

    def _prompts(self, masks: Tensor, seed: int) -> dict[int, Tensor]:
        """By frame: the first one's mask, sometimes a later one's too; true or as coarse as a grounder's."""
        generator = torch.Generator().manual_seed(seed)
        amount = 0.12 if self.step % 2 else 0.0
        frames = [0]
        if self.step % LATE_EVERY == 0:
            frames.append(3 + self.step % (len(masks) - 4))
        return {frame: coarse(masks[frame], amount, generator) for frame in frames}

    def _blend(self) -> None:
        with torch.no_grad():
            for mean, weight in zip(self._average.parameters(), self._model.parameters(), strict=True):
                mean.lerp_(weight, AVERAGING)

    def _resume(self) -> None:
        state = torch.load(self._last, weights_only=True)
        self._model.load_state_dict(state["model"])
        self._average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent_s = int(state["step"]), float(state["spent_s"])


def rate_at(share: float, step: int) -> float:
    """Share of the peak rate: 20 steps of warm-up, then a cosine down to 3 % of it."""
    return min(1.0, (step + 1) / 20) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * share)))


def follow(tracker: TrainedTracker, batch: Batch, prompts: dict[int, Tensor]) -> dict[str, float]:
    """Follow a batch's objects with the tracker's own memories and gather gradients; means over frames."""
    clips, length = batch.frames.shape[:2]
    with torch.no_grad():
        flat = tracker.encode(batch.frames.flatten(0, 1))
    levels = [level.unflatten(0, (clips, length)) for level in flat]
    given: Remembered = []
    recent: Remembered = []
    losses: list[Tensor] = []
    figures: list[dict[str, float]] = []
    for index in range(length):
        here = [level[:, index] for level in levels]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            if index:
                bank = tracker.bank(index, given, recent)
                logits, iou, score, pointer, memory = tracker.track(*here, *bank)
                recent = [*recent, (index, pointer.float(), memory.float())][-tracker.recent_pointers :]
            if index in prompts:
                pointer, memory = tracker.prompt(*here, prompts[index])
                given = [*given[:1], (index, pointer.float(), memory.float())]
        if index:
            loss, told = frame_loss(logits.float(), iou.float(), score.float(), batch.masks[index])
            losses.append(loss)
            figures.append(told)
        if index and (index % REACH == 0 or index == length - 1):
            (torch.stack(losses).sum() / (length - 1)).backward()  # type: ignore[no-untyped-call]
            losses.clear()
            given, recent = _cut(given), _cut(recent)
    return {name: float(np.mean([told[name] for told in figures])) for name in figures[0]}


def frame_loss(logits: Tensor, iou: Tensor, score: Tensor, masks: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Mask, IoU and presence losses of one frame: logits (B, 64, 64), iou and score (B,), masks (B, S, S)."""
    truth = functional.avg_pool2d(masks, 4)
    cells = (truth > 0.5).sum(dim=(1, 2))
    present = (cells > 0).float()
    sure = ((cells >= SURE_CELLS) | (truth.sum(dim=(1, 2)) < 1)).float()
    probability = logits.sigmoid()
    binary = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    focal = (binary * (0.2 + (probability - truth).abs())).mean(dim=(1, 2))
    both = (probability * truth).sum(dim=(1, 2))
    dice = 1 - (2 * both + 1) / ((probability + truth).sum(dim=(1, 2)) + 1)
    hit, drawn = truth > 0.5, logits.detach() > 0
    real = (hit & drawn).sum(dim=(1, 2)) / (hit | drawn).sum(dim=(1, 2)).clamp(min=1)
    count, counted = present.sum().clamp(min=1), sure.sum().clamp(min=1)
    surprise = functional.binary_cross_entropy_with_logits(score, present, reduction="none")
    drawing = ((10 * focal + dice + 0.2 * (iou - real).abs()) * present).sum() / count
    presence = (surprise * sure).sum() / counted
    right = (((score > 0) == (present > 0)).float() * sure).sum() / counted
    loss = drawing + 0.5 * presence
    told = {"j": (real * present).sum() / count, "loss": loss, "presence": presence, "present_right": right}
    return loss, {name: float(value.detach()) for name, value in told.items()}


def _cut(remembered: Remembered) -> Remembered:
    return [(index, pointer.detach(), memory.detach()) for index, pointer, memory in remembered]
