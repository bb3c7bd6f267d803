"""Tuning of a published Sa2VA checkpoint of any size: the paper's instruction tuning, on the drawn world.

Trainable are the language model, its projector, `text_hidden_fcs` and SAM-2's mask decoder; the vision tower
and the rest of SAM-2 are frozen. Losses and rates are Sa2VA's (arXiv 2501.04001 §3; bytedance/Sa2VA
`projects/sa2va/configs`), except that the whole language model is trained instead of a LoRA.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache

from engines.grounding.checkpoints import Sa2Va, load_sa2va
from engines.grounding.model import LanguageModelInputs, SaModel, best_mask
from engines.grounding.packing import expand_positions
from engines.grounding.structure import Expressions
from engines.grounding.templates import Template
from lab.training.checkpoint import Progress
from lab.training.curves import CURVES, draw_curves_if_possible
from lab.training.device import mixed_precision, to_device, training_device
from lab.training.export import save_sa2va
from lab.training.grounding_recipe import first_seed
from lab.training.losses import Loss, dice_loss, iou
from lab.training.optimiser import Optimisers
from lab.training.prefetch import prefetch, workers_for
from lab.training.schedules import warmup_cosine
from lab.training.task_mixture import has_windows
from lab.training.trainer import MetricMeans, Metrics, OnLog, RunConfig, Timer, Trainer
from lab.training.tuning_batches import Sizes, TuningBatch, draw_tuning_batch
from lab.training.world.holdout import VALIDATION_SEED
from lab.training.world.levels import CURRICULUM, Level

TRAINABLE: Final = (
    "mllm.model.language_model.",
    "mllm.lm_head.",
    "mllm.model.multi_modal_projector.",
    "mllm.model.visual.merger.",
    "mllm.model.visual.deepstack_merger_list.",
    "text_hidden_fcs.",
    "segmenter.mask_decoder.",
    "structure.",
)
"Prefixes of the names of trainable weights; all others are frozen."
BCE_WEIGHT: Final = 2.0
DICE_WEIGHT: Final = 0.5
WARMUP_SHARE: Final = 0.05
"Share of the budget over which the learning rate is warmed up."
VALIDATION_BATCHES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningRunConfig(RunConfig):
    """Settings of a tuning run."""

    checkpoint: Path
    "Folder of the published checkpoint; needed to resume, too, because last.pt lacks frozen weights."
    images: int = 2
    "Scenes of a step; half as many where they are windows."
    expressions: int = 5
    "Referring expressions of a scene, beside questions and captions."
    lr: float = 4e-5
    "Peak learning rate of AdamW."
    seed: int = 501
    levels: tuple[Level, ...] = CURRICULUM[-1:]
    promotion_score: float = math.inf
    validation_s: float = 600.0
    "Seconds of training between two validations."
    log_steps: int = 10
    checkpoint_s: float = 600.0
    "A checkpoint has gigabytes."
    export_s: float = 3600.0


class TrainableWeights:
    """The trainable weights of a model, as a part of a checkpoint."""

    def __init__(self, model: SaModel) -> None:
        """Freeze all others."""
        self._model = model
        for name, weight in model.named_parameters():
            weight.requires_grad_(name.startswith(TRAINABLE))

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """By name."""
        return {name: weight for name, weight in self._model.named_parameters() if weight.requires_grad}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the trainable weights by name."""
        return {name: weight.detach() for name, weight in self.weights.items()}

    def load_state_dict(self, state: Mapping[str, Tensor], /) -> None:
        """Restore what `state_dict` returned. Raises ValueError for the weights of another model."""
        if state.keys() != self.weights.keys():
            raise ValueError("other weights are trainable there")
        self._model.load_state_dict(state, strict=False)


def train_tuning(config: TuningRunConfig, on_log: OnLog) -> Sa2Va:
    """Tune until the budget is spent; called again, resume. Returns the checkpoint, on the CPU.

    The curves are drawn in the run's directory at the end and when it is interrupted. Raises NotFound,
    CheckpointError.
    """
    device = training_device()
    checkpoint = load_sa2va(config.checkpoint)
    model, level = checkpoint.model.to(device), config.levels[0]
    trainable = TrainableWeights(model)
    optimisers = _optimisers(trainable, config)
    trainer = Trainer(config, {"trainable": trainable, "optimisers": optimisers}, on_log)
    validation_timer = Timer(config.validation_s, trainer.progress.spent_s)
    load = partial(_load, config, Sizes.of(checkpoint, config.expressions), checkpoint.template, level)
    seed = config.seed + trainer.progress.session
    requests = ((first_seed(seed, step, config.images), step) for step in trainer.upcoming_steps())
    batches = prefetch(load, requests, workers_for(device))

    def loss_of(batch: TuningBatch) -> Loss:
        with mixed_precision(device):
            return tuning_loss(model, to_device(batch, device))

    @torch.no_grad()
    def validate() -> Metrics:
        """Return the metrics of held-out scenes."""
        means = MetricMeans()
        for step in range(VALIDATION_BATCHES):
            batch = load((VALIDATION_SEED + step * config.images, step))
            means.add(loss_of(batch).metrics)
        return {f"held_out_{name}": value for name, value in means.pop().items()}

    def take_step(progress: Progress) -> Metrics:
        if validation_timer.is_due(progress.spent_s):
            trainer.log_validation(validate(), level)
        loss = loss_of(next(batches))
        torch.autograd.backward(loss.value)
        optimisers.step(lr_scale(config.spent_share(progress)))
        return loss.metrics

    try:
        trainer.run(take_step, partial(save_sa2va, checkpoint))
    finally:
        draw_curves_if_possible([config.directory], config.directory / CURVES)
    model.cpu().requires_grad_(False)
    return checkpoint


def lr_scale(spent: float) -> float:
    """Return the factor on the peak learning rate: warm-up, then a cosine down to 0."""
    return warmup_cosine(spent, warmup=WARMUP_SHARE)


def tuning_loss(model: SaModel, batch: TuningBatch) -> Loss:
    """Return the language-model loss (cross entropy of all answer tokens) plus the mask loss (BCE + dice).

    Of the decoder's three masks the one with the highest predicted IoU is trained, as in the paper.
    """
    hidden = model.forward_cached(language_inputs(model, batch), DynamicCache())
    rows, positions, tokens = batch.answers.unbind(dim=1)
    log_probabilities = model.token_log_probs(hidden[rows, positions])
    language = functional.nll_loss(log_probabilities, tokens)
    right = (log_probabilities.argmax(dim=1) == tokens).sum()
    expressions = model.expressions(hidden, *batch.segs.unbind(dim=1))
    logits = _decode_masks(model, batch, expressions)
    bce = functional.binary_cross_entropy_with_logits(logits, batch.masks, reduction="none").mean(dim=(1, 2))
    each = BCE_WEIGHT * bce + DICE_WEIGHT * dice_loss(logits.sigmoid(), batch.masks)
    total = language + each.sum() / max(len(each), 1)
    metrics = {
        "loss": float(total.detach()),
        "answer_tokens": float(right),
        "answer_tokens/n": float(len(tokens)),
        "j": float(iou(logits > 0, batch.masks > 0.5).sum()),
        "j/n": float(len(logits)),
    }
    return Loss(total, metrics)


def language_inputs(model: SaModel, batch: TuningBatch) -> LanguageModelInputs:
    """Return the inputs of the language model for all packed tasks of a batch."""
    features, packed = model.encode_images(batch.language_pixels), batch.packed
    embedded, is_image = model.embed(packed.ids, features.tokens)
    deep = tuple(level.flatten(0, 1) for level in features.deepstack)
    return LanguageModelInputs(
        embedded, expand_positions(packed.positions, batch.axes), packed.bias, is_image, deep
    )


def _decode_masks(model: SaModel, batch: TuningBatch, expressions: Expressions) -> Tensor:
    """Return (N, D / 4, D / 4) float32 logits; scene by scene, because scenes differ in their number."""
    with torch.no_grad():
        maps = model.feature_maps(batch.sam_pixels)
    decoded = [batch.masks.new_zeros(0, *batch.masks.shape[1:])]
    for scene in range(len(batch.sam_pixels)):
        own = batch.segs[:, 0] == scene
        if own.any():
            scene_maps = tuple(level[scene : scene + 1] for level in maps)
            masks = model.decode_masks(scene_maps, expressions.seg[own][None], expressions[own])
            decoded.append(best_mask(*masks)[0].float())
    return torch.cat(decoded)


def _load(
    config: TuningRunConfig, sizes: Sizes, template: Template, level: Level, request: tuple[int, int]
) -> TuningBatch:
    """Draw the scenes of a step from a first seed on: half as many where they are windows."""
    first, step = request
    window = has_windows(level, step)
    seeds = range(first, first + (max(config.images // 2, 1) if window else config.images))
    return draw_tuning_batch(seeds, template, level, window=window, sizes=sizes)


def _optimisers(trainable: TrainableWeights, config: TuningRunConfig) -> Optimisers:
    weights = list(trainable.weights.values())
    adamw = torch.optim.AdamW(weights, lr=config.lr, betas=(0.9, 0.999), weight_decay=0.05)
    return Optimisers([adamw], clipped=weights)
