"""Stage `tracker`: nano's tracker trained on clips, from random weights.

Objects have mask prompts on the first frame of a clip and are tracked through the rest with the graphs that
run in service (`engines/tracking/graphs.py`); the loss is on every tracked frame, with gradients through all
of them. Where clips come from is part of the config (`tracker_clips.TrackerData`).
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Sam2VideoModel

from engines.backends.torch_backend import TorchBackend
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compilation import compile_tracker
from lab.evaluation.tracking import TrackingScore, score_tracking
from lab.training.checkpoint import Progress
from lab.training.curriculum import Curriculum
from lab.training.device import mixed_precision, training_device
from lab.training.export import save_tracker
from lab.training.initial_weights import initial_tracker, tracker_from
from lab.training.optimiser import Muon, Optimisers, split_parameters
from lab.training.prefetch import prefetch, workers_for
from lab.training.schedules import step_warmup_cosine
from lab.training.tracker_clips import TrackerBatch, TrackerData, TrackerRequest
from lab.training.trainable_tracker import FramePrediction, TrackerLearner, TrainableTracker
from lab.training.trainer import Metrics, OnLog, RunConfig, Timer, Trainer
from lab.training.world.scenes import Clip

ABSENT_WEIGHT: Final = 2.0
"""Extra weight of the presence loss where the object is absent, which is one object-frame in ten: it counts
1 + ABSENT_WEIGHT times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerRunConfig(RunConfig):
    """Settings of a run of stage `tracker`."""

    data: TrackerData
    "Where clips of training and validation come from."
    start: str | None = None
    "Tracker to start from, by name or path; None: random weights. A resumed run has its own."
    muon_lr: float = 0.0
    "Peak learning rate of the matrices by Muon; 0: AdamW has all weights."
    adamw_lr: float = 4e-4
    "Peak learning rate of AdamW."
    export_s: float = 600.0
    validation_s: float = 300.0
    "Seconds of training between two validations."


def train_tracker(config: TrackerRunConfig, on_log: OnLog) -> None:
    """Train until the budget is spent; called again, resume.

    Exports the EMA of the weights. Raises CheckpointError where the directory holds another run.
    """
    device = training_device()
    tracker = TrainableTracker(_initial(config)).to(device)
    learner = TrackerLearner.of(tracker, _optimisers(tracker.model, config))
    curriculum = Curriculum(config.levels, config.promotion_score)
    trainer = Trainer(config, learner.parts | {"curriculum": curriculum}, on_log)
    validation_timer = Timer(config.validation_s, trainer.progress.spent_s)
    # With prefetching, a request has the budget's share and the level of a few steps before its own.
    requests = (
        TrackerRequest(config.seed, step, config.spent_share(trainer.progress), curriculum.level)
        for step in trainer.upcoming_steps()
    )
    batches = prefetch(config.data.load, requests, workers_for(device))

    def take_step(progress: Progress) -> Metrics:
        if validation_timer.is_due(progress.spent_s):
            score = validate(learner.ema, config.data.validation_clips(curriculum.level))
            trainer.log_validation(asdict(score), curriculum.level)
            curriculum.update(score.j)
        return learner.step(backward, next(batches), lr_scale(config.spent_share(progress), progress.step))

    trainer.run(take_step, partial(save_tracker, learner.ema))


def _initial(config: TrackerRunConfig) -> Sam2VideoModel:
    return initial_tracker(config.seed) if config.start is None else tracker_from(config.start)


def validate(model: Sam2VideoModel, clips: Iterable[Clip]) -> TrackingScore:
    """Score a model on clips with the tracker that the service uses, on the CPU."""
    weights = TrackerWeights("training", deepcopy(model).cpu())
    backend = TorchBackend(torch.get_num_threads())
    return score_tracking(compile_tracker(weights, backend), clips)


def lr_scale(spent: float, step: int) -> float:
    """Return the factor on the peak learning rates: 50 steps of warm-up, then a cosine down to 2 %."""
    return step_warmup_cosine(spent, step, warmup_steps=50, floor=0.02)


def backward(tracker: TrainableTracker, batch: TrackerBatch) -> Metrics:
    """Track a batch, on the tracker's device, and backpropagate through all its frames."""
    frames, masks = batch.clips.frames, batch.clips.masks
    with mixed_precision(frames.device):
        predictions = tracker.track_clips(frames, batch.prompts)
    loss, metrics = tracking_loss(predictions, masks)
    loss.backward()  # type: ignore[no-untyped-call]
    return {"loss": float(loss.detach()), "length": frames.shape[1], **metrics}


def tracking_loss(predictions: list[FramePrediction], masks: Tensor) -> tuple[Tensor, Metrics]:
    """Return the loss of tracked frames and its terms' means.

    predictions: of frames 1..T-1. masks: (T, B, S, S) float32, 0 or 1. Terms: focal-like BCE and dice of the
    masks, L1 of the predicted IoU, BCE of the object score.
    """
    # (T-1, B, S / 4, S / 4), (T-1, B), (T-1, B)
    logits, iou, score = (torch.stack(values).float() for values in zip(*predictions, strict=True))
    truth = functional.avg_pool2d(masks[1:], 4)
    present = (truth.amax(dim=(2, 3)) > 0.5).float()
    probability = logits.sigmoid()
    bce = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    focal = (bce * (0.2 + (probability - truth).abs())).mean(dim=(2, 3))
    overlap = (probability * truth).sum(dim=(2, 3))
    dice = 1 - (2 * overlap + 1) / ((probability + truth).sum(dim=(2, 3)) + 1)
    true_mask, mask = truth > 0.5, logits.detach() > 0
    union = (true_mask | mask).sum(dim=(2, 3)).clamp(min=1)
    true_iou = (true_mask & mask).sum(dim=(2, 3)) / union
    count = present.sum().clamp(min=1)
    presence = functional.binary_cross_entropy_with_logits(score, present, reduction="none")
    terms = {
        # Without the object every pixel is background: the mask term is taught absence, too.
        "focal": focal.mean(),
        "dice": (dice * present).sum() / count,
        "iou": ((iou - true_iou).abs() * present).sum() / count,
        "presence": (presence * (1 + ABSENT_WEIGHT * (1 - present))).mean(),
    }
    total = 10 * terms["focal"] + terms["dice"] + 0.2 * terms["iou"] + 0.5 * terms["presence"]
    metrics = {name: float(value.detach()) for name, value in terms.items()}
    metrics["j"] = float((true_iou * present).sum() / count)
    return total, metrics


def _optimisers(model: nn.Module, config: TrackerRunConfig) -> Optimisers:
    matrices, others = split_parameters(model)
    if not config.muon_lr:
        matrices, others = [], [*matrices, *others]
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(others, lr=config.adamw_lr, betas=(0.9, 0.98), weight_decay=0.01)
    ]
    if matrices:
        optimisers.append(Muon(matrices, lr=config.muon_lr))
    return Optimisers(optimisers, clipped=model.parameters())
