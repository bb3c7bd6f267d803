"""How the tracker learns not to drift: long clips at the pace of a camera, between lessons of stage tracker.

Stage `tracker` teaches what a few frames show. Followed for seconds, such a tracker eats its own small
errors. Here clips are up to 20 frames long, memories are the tracker's own, and gradients reach back over
three frames only, so that a step costs what its frames cost. They do not reach the picture encoder, which
learns from the other lessons: of long clips alone, with the encoder fixed, the tracker forgot more than it
learnt (J&F 0.637 after, 0.670 before: 6 held-out clips of 120 frames)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.tracking.checkpoints import save_tracker
from engines.training.checkpoint import Progress
from engines.training.clips import at_a_cameras_pace, coarse, draw_batch
from engines.training.course import Course, Figures, Run, Tell
from engines.training.device import mixed_precision, training_device
from engines.training.feeding import feed, painters_for
from engines.training.follower import Exercise, Follower, Remembered, TrainedTracker
from engines.training.ladder import Ladder
from engines.training.optimiser import Optimisers, warmed_cosine
from engines.training.tracker_recipe import STRANGE_STEPS, fresh_tracker, glimpses, learn_all
from engines.training.world.levels import STRANGERS, Level

REACH: Final = 3
"Frames that a gradient passes back through memory."
SURE_CELLS: Final = 12
"Cells of the mask from which on a thing counts as seen; with fewer nothing is taught about its presence."
LATE_EVERY: Final = 3
"Steps to one with a second, late prompt."


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRun(Run):
    """One run of stage `memory`."""

    start: Path
    "last.pt of stage `tracker`: it begins with those averaged weights, on the level that they mastered."
    number: int = 77
    clips: int = 2
    objects: int = 3
    glimpses: tuple[int, int, int] = (3, 2, 6)
    "Clips, objects of each and frames of a lesson of stage `tracker`."
    adam_rate: float = 1.5e-4
    tell_steps: int = 10
    checkpoint_s: float = 120.0
    export_s: float = 120.0


def train_memory(run: MemoryRun, tell: Tell) -> None:
    """Train until the budget is spent; call again to go on after an interruption."""
    device = training_device()
    before = torch.load(run.start, weights_only=True, map_location="cpu")
    ladder = Ladder(run.levels, run.gate)
    ladder.load_state_dict(before["ladder"])
    tracker = _started(run.number, before["average"]).to(device)
    follower = Follower(tracker, _optimisers(tracker.model, run))
    course = Course(run, follower.parts, tell)
    # Asked for a few steps ahead, with the length that is due then.
    orders = ((step, 12 if run.share(course.progress) < 0.5 else 20) for step in course.steps())
    exercises = feed(partial(_draw, run, ladder.level), orders, painters_for(device))

    def take_step(progress: Progress) -> Figures:
        rate = rate_at(run.share(progress), progress.step)
        if is_long(progress.step):
            return _told("", follower.learn(follow, next(exercises), rate))
        return _told("glimpsed_", follower.learn(learn_all, next(exercises), rate))

    course.run(take_step, partial(save_tracker, follower.average))


def is_long(step: int) -> bool:
    """Whether a step follows long clips; else its lesson is one of stage `tracker`."""
    return step % 2 == 1


def _told(prefix: str, figures: Figures) -> Figures:
    """Figures as means over the lessons of their own sort (see `Tally`)."""
    named = {prefix + name: value for name, value in figures.items()}
    return named | {f"{name}/n": 1.0 for name in named}


def _optimisers(model: nn.Module, run: MemoryRun) -> Optimisers:
    learning = list(model.parameters())
    adam = torch.optim.AdamW(learning, lr=run.adam_rate, betas=(0.9, 0.98), weight_decay=0.01)
    return Optimisers([adam], clipped=learning)


def _started(number: int, weights: dict[str, Tensor]) -> TrainedTracker:
    """What stage `tracker` made."""
    model = fresh_tracker(number)
    model.load_state_dict(weights)
    return TrainedTracker(model)


def _draw(run: MemoryRun, level: Level, order: tuple[int, int]) -> Exercise:
    """Clips of a step, so many frames long; sometimes there is a late prompt."""
    step, length = order
    if not is_long(step):
        return glimpses(run.number, step, run.glimpses, level)
    seed = run.number * 10**6 + step
    if step % 5 in STRANGE_STEPS:
        level = STRANGERS
    batch = draw_batch(seed, (run.clips, run.objects, length), level, at_a_cameras_pace)
    generator = torch.Generator().manual_seed(seed)
    amount = 0.12 if step % 2 else 0.0
    frames = [0]
    if step % LATE_EVERY == 0:
        frames.append(3 + step % (length - 4))
    return Exercise(batch, {frame: coarse(batch.masks[frame], amount, generator) for frame in frames})


def rate_at(share: float, step: int) -> float:
    """Share of the peak rate: 20 steps of warm-up, then a cosine down to 3 % of it."""
    return warmed_cosine(share, step, warm_steps=20, floor=0.03)


def follow(tracker: TrainedTracker, exercise: Exercise) -> Figures:
    """Follow the objects with the tracker's own memories and gather gradients; means over frames."""
    frames, masks, prompts = exercise.clips.frames, exercise.clips.masks, exercise.prompts
    clips, length = frames.shape[:2]
    with torch.no_grad():
        flat = tracker.encode(frames.flatten(0, 1))
    levels = [level.unflatten(0, (clips, length)) for level in flat]
    given: Remembered = []
    recent: Remembered = []
    losses: list[Tensor] = []
    figures: list[dict[str, float]] = []
    for index in range(length):
        here = [level[:, index] for level in levels]
        with mixed_precision(frames.device):
            if index:
                bank = tracker.bank(index, given, recent)
                (logits, iou, score), pointer, memory = tracker.look(here, bank)
                recent = [*recent, (index, pointer.float(), memory.float())][-tracker.recent_pointers :]
            if index in prompts:
                pointer, memory = tracker.prompt(*here, prompts[index])
                given = [*given[:1], (index, pointer.float(), memory.float())]
        if index:
            loss, told = frame_loss(logits.float(), iou.float(), score.float(), masks[index])
            losses.append(loss)
            figures.append(told)
        if index and (index % REACH == 0 or index == length - 1):
            (torch.stack(losses).sum() / (length - 1)).backward()  # type: ignore[no-untyped-call]
            losses.clear()
            given, recent = _cut(given), _cut(recent)
    return {name: float(np.mean([told[name] for told in figures])) for name in figures[0]}


def frame_loss(logits: Tensor, iou: Tensor, score: Tensor, masks: Tensor) -> tuple[Tensor, Figures]:
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
