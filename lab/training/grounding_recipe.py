"""Stages `vision`, `grounding` and `decoder`: nano's grounder trained on drawn scenes and on photographs.

    vision      vision tower                          dense class loss
    grounding   + language model, text_hidden_fcs     all terms of `losses` but masks; no SAM-2 yet
    decoder     + SAM-2 of stage `tracker`            masks, too; the language model at a lower learning rate

Seeds of samples are `(seed * 10**6 + step) * images + i`, where `seed` grows by one with every session: a
resumed run draws no scene again, and runs whose seeds are far apart have no scene in common. With photographs
most steps of stages `grounding` and `decoder` are views of them (`task_mixture.has_photographs`); curriculum
levels and their validation remain those of the drawn world.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.model import SaModel
from engines.grounding.structure import Expressions
from engines.grounding.templates import Template
from lab.training.batches import (
    GroundingBatch,
    ImageBatch,
    draw_grounding_batch,
    draw_image_batch,
    draw_photo_batch,
)
from lab.training.checkpoint import Progress, Stateful
from lab.training.curriculum import Curriculum
from lab.training.device import mixed_precision, to_device, training_device
from lab.training.export import save_sa2va
from lab.training.initial_weights import copy_language
from lab.training.losses import (
    AuxiliaryHeads,
    Loss,
    grounding_loss,
    mask_loss,
    prompt_position_loss,
    segmenter_maps,
    vision_loss,
)
from lab.training.nano_config import VISION_SIDE_PX
from lab.training.optimiser import Muon, Optimisers, split_parameters
from lab.training.prefetch import prefetch, workers_for
from lab.training.schedules import warmup_stable_decay
from lab.training.structure_losses import StructureConfig, structure_loss, warmup_scale
from lab.training.task_mixture import has_photographs, has_windows
from lab.training.trainable_grounder import (
    TrainableGrounder,
    add_refinement,
    copy_tracker_weights,
    trainable_grounder,
)
from lab.training.trainer import MetricMeans, Metrics, OnLog, RunConfig, Timer, Trainer
from lab.training.world.holdout import VALIDATION_SEED
from lab.training.world.levels import Level
from lab.training.world.photo_samples import load_sampler
from streaming.errors import CheckpointError

DECODER_LANGUAGE_LR: Final = 0.4
"Factor on the learning rates of what stage `grounding` has trained, in stage `decoder`."
PROMPT_LR: Final = 0.5
"Factor for `text_hidden_fcs` and its heads: at 1, or with Muon, its ReLUs die."
SEGMENTER_LR: Final = 0.25
"Factor for SAM-2."
LANGUAGE_EVERY: Final = 2
"""In stage `decoder` one step in so many trains the language model and SAM-2's image encoder; the others are
cheap. It has no factor in common with `WINDOW_EVERY`: at 3 these steps had windows only."""
VALIDATION_BATCHES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingRunConfig(RunConfig):
    """Settings of a run of stage `vision`, `grounding` or `decoder`."""

    images: int = 8
    "Scenes of a step; half as many where they are windows."
    expressions: int = 8
    "Referring expressions of a scene, beside questions and captions."
    validation_s: float = 240.0
    "Seconds of training between two validations."
    muon_lr: float = 0.02
    "Peak learning rate of Muon."
    adamw_lr: float = 2e-3
    "Peak learning rate of AdamW."
    log_steps: int = 50
    photos: Path | None = None
    "Folder of labelled photographs (`photographs.load_photographs`); None: the drawn world alone."
    side_px: int = VISION_SIDE_PX
    "Side of the image of stages `grounding` and `decoder`."
    structure: StructureConfig = field(default_factory=StructureConfig)
    "Of stage `decoder`."
    start: str | None = None
    """Trained grounder, by name or path, whose weights but the vision tower's stage `grounding` starts from;
    None: random weights."""
    clock: Callable[[], float] = time.monotonic
    "Seconds of training; `ablation.StepClock` counts steps instead."


@dataclass(frozen=True, slots=True, eq=False)
class _Objective:
    """What a stage is trained on, and by what."""

    load: Callable[[int, int, Level], Any]
    "From a first seed, a step and a level to a batch; picklable."
    loss: Callable[[Any, Progress], Loss]
    "From a batch on the training device."
    promoted_by: str
    """The held-out metric that opens the next level: `category`, accuracy on patches of objects, or `hit`,
    how often a prompt embedding is most similar to a patch of its object."""
    held_out: Mapping[str, Callable[[int, int, Level], Any]]
    "By prefix of the metrics: like `load`, of held-out samples; those without prefix are of the level."


@dataclass(frozen=True, slots=True, eq=False)
class _ParameterGroup:
    """Modules that train at the same factor on the peak learning rates."""

    module: nn.Module
    lr_scale: float
    muon: bool
    "Matrices by Muon; else all weights by AdamW."


# --- stages ---------------------------------------------------------------------------------------


def train_vision(config: GroundingRunConfig, on_log: OnLog) -> Sa2Va:
    """Stage `vision`: train the vision tower. Returns the grounder, on the CPU. Raises CheckpointError."""
    trainable = trainable_grounder(config.seed)
    tower = trainable.model.mllm.model.vision_tower
    groups = [_ParameterGroup(nn.ModuleList([tower, trainable.heads.patch_classes]), 1.0, True)]

    def loss(batch: ImageBatch, _: Progress) -> Loss:
        return vision_loss(trainable.model, trainable.heads, batch)

    load = partial(_load_images, config)
    objective = _Objective(load, loss, promoted_by="category", held_out={"": load})
    return _train(config, trainable, _optimisers(config, groups), objective, on_log)


def train_grounding(config: GroundingRunConfig, vision: Path, on_log: OnLog) -> Sa2Va:
    """Stage `grounding`, from the last.pt of stage `vision`: train all but SAM-2. Returns likewise."""
    trainable = trainable_grounder(config.seed)
    model, heads = trainable.model, trainable.heads
    if config.start is not None:
        copy_language(model, config.start)
    _load_stage(trainable, vision)
    groups = [
        _ParameterGroup(_prompt_modules(model, heads), PROMPT_LR, False),
        _ParameterGroup(_language_modules(model, heads), 1.0, True),
    ]

    def loss(batch: GroundingBatch, _: Progress) -> Loss:
        grounding, expressions = grounding_loss(model, heads, batch)
        position = prompt_position_loss(model, heads, expressions.seg, batch)
        metrics = grounding.metrics | {"prompt_position": float(position.detach())}
        return Loss(grounding.value + position, metrics)

    objective = _scenes_objective(config, trainable.grounder.template, loss)
    return _train(config, trainable, _optimisers(config, groups), objective, on_log)


def train_decoder(config: GroundingRunConfig, grounding: Path, tracker: Path, on_log: OnLog) -> Sa2Va:
    """Stage `decoder`, from the last.pt of stages `grounding` and `tracker`. Returns and raises likewise."""
    trainable = add_refinement(trainable_grounder(config.seed), config.structure.refinement)
    model, heads = trainable.model, trainable.heads
    curriculum = Curriculum(config.levels, config.promotion_score)
    curriculum.load_state_dict(_load_stage(trainable, grounding))
    config = replace(config, levels=curriculum.remaining)
    tracker_state = torch.load(tracker, weights_only=True, map_location="cpu")
    copy_tracker_weights(model.segmenter, tracker_state["ema"])
    # Muon's steps do not scale with the gradient: with it the mask decoder did not learn to use prompts.
    groups = [
        _ParameterGroup(nn.ModuleList([model.segmenter, heads.map_classes]), SEGMENTER_LR, False),
        _ParameterGroup(_prompt_modules(model, heads), PROMPT_LR, False),
        _ParameterGroup(_language_modules(model, heads), DECODER_LANGUAGE_LR, True),
    ]
    if model.structure is not None:
        groups.append(_ParameterGroup(model.structure, SEGMENTER_LR, False))

    def loss(batch: GroundingBatch, progress: Progress) -> Loss:
        warmup = warmup_scale(config.spent_share(progress))
        trains_language = progress.step % LANGUAGE_EVERY == 0
        if model.structure is not None:
            model.structure.gamma_scale = warmup
        if trains_language:
            language, expressions = grounding_loss(model, heads, batch)
        else:
            language = Loss(torch.zeros((), device=batch.pixels.device), {})
            expressions = _frozen_expressions(model, batch)
        position = prompt_position_loss(model, heads, expressions.seg, batch)
        maps = _maps(model, batch, trains_language)
        masks, predictions = mask_loss(model, heads, maps, expressions, batch)
        structure, structure_metrics = structure_loss(config.structure, predictions)
        return Loss(
            language.value + position + masks.value + warmup * structure,
            language.metrics
            | masks.metrics
            | structure_metrics
            | {"prompt_position": float(position.detach())},
        )

    objective = _scenes_objective(config, trainable.grounder.template, loss)
    return _train(config, trainable, _optimisers(config, groups), objective, on_log)


def _scenes_objective(
    config: GroundingRunConfig, template: Template, loss: Callable[[GroundingBatch, Progress], Loss]
) -> _Objective:
    """Return what stages `grounding` and `decoder` are trained on."""
    held_out: dict[str, Callable[[int, int, Level], Any]] = {"": partial(_load_drawn, config, template)}
    if config.photos is not None:
        load_sampler(config.photos, "train")  # raises NotFound before anything is trained
        held_out["photo_"] = partial(_load_photographs, config, template, "val")
    load = partial(_load_scenes, config, template)
    return _Objective(load, loss, promoted_by="hit", held_out=held_out)


def _load_stage(trainable: TrainableGrounder, last: Path) -> Any:
    """Load the weights of an earlier stage's last.pt; return the state of its curriculum.

    Weights that it lacks, of a refinement or a newer head, keep their initial values; stage `vision` on
    photographs has the tower alone and no curriculum. Raises CheckpointError for weights that this model
    lacks.
    """
    saved = torch.load(last, weights_only=True, map_location="cpu")
    for module, state in ((trainable.model, saved["model"]), (trainable.heads, saved.get("heads", {}))):
        result = module.load_state_dict(state, strict=False)
        if result.unexpected_keys:
            surplus = ", ".join(result.unexpected_keys[:10])
            raise CheckpointError(
                f"{last} has weights that this model lacks: {surplus}.", remedy="Train that stage again."
            )
    return saved.get("curriculum")


def _frozen_expressions(model: SaModel, batch: GroundingBatch) -> Expressions:
    """Return the phrases of the `[SEG]`s; of the model only `text_hidden_fcs` gets gradients."""
    with torch.no_grad():
        hidden = model.prefill(model.encode_images(batch.pixels).tokens, batch.packed).hidden
    segs = batch.segs
    return model.expressions(hidden, segs.rows, segs.begins, segs.seg)


def _maps(model: SaModel, batch: GroundingBatch, with_gradients: bool) -> tuple[Tensor, ...]:
    """Return SAM-2's maps of the last image of every scene."""
    last = batch.pixels[batch.images_per_scene - 1 :: batch.images_per_scene]
    # A validation runs without gradients also on a step that has them.
    with torch.set_grad_enabled(with_gradients and torch.is_grad_enabled()):
        return segmenter_maps(model, last)


def _language_modules(model: SaModel, heads: AuxiliaryHeads) -> nn.Module:
    """Return the language model, its vision tower, and the heads on both."""
    own = [heads.patch_classes, heads.token_position, heads.heat_map, heads.localisation, heads.displacement]
    return nn.ModuleList([model.mllm, *own, nn.ParameterList([heads.heat_map_bias])])


def _prompt_modules(model: SaModel, heads: AuxiliaryHeads) -> nn.Module:
    """Return the modules between language model and SAM-2.

    Their weights are large (`initial_weights.PROMPT_GAIN`): Muon's steps would hardly change them.
    """
    return nn.ModuleList([model.text_hidden_fcs, heads.prompt_classes, heads.prompt_position])


# --- the loop -------------------------------------------------------------------------------------


def first_seed(run_seed: int, step: int, images: int) -> int:
    """Return the seed of the first scene of a step."""
    return (run_seed * 10**6 + step) * images


def _load_images(config: GroundingRunConfig, first: int, _: int, level: Level) -> ImageBatch:
    return draw_image_batch(range(first, first + config.images), level)


def _load_scenes(
    config: GroundingRunConfig, template: Template, first: int, step: int, level: Level
) -> GroundingBatch:
    """Draw the scenes of a step with seeds from `first` on: views of photographs, or drawn ones."""
    if config.photos is not None and has_photographs(step):
        return _load_photographs(config, template, "train", first, step, level)
    return _load_drawn(config, template, first, step, level)


def _load_drawn(
    config: GroundingRunConfig, template: Template, first: int, step: int, level: Level
) -> GroundingBatch:
    """Draw scenes of the drawn world: half as many where they are windows."""
    window = has_windows(level, step)
    seeds = range(first, first + (max(config.images // 2, 1) if window else config.images))
    return draw_grounding_batch(
        seeds, template, level, window=window, expressions=config.expressions, side_px=config.side_px
    )


def _load_photographs(
    config: GroundingRunConfig, template: Template, split: str, first: int, _step: int, _level: Level
) -> GroundingBatch:
    assert config.photos is not None
    seeds = range(first, first + config.images)
    sampler = load_sampler(config.photos, split)
    return draw_photo_batch(sampler, seeds, template, expressions=config.expressions, side_px=config.side_px)


def _load(load: Callable[[int, int, Level], Any], request: tuple[int, int, Level]) -> Any:
    return load(*request)


def _optimisers(config: GroundingRunConfig, groups: list[_ParameterGroup]) -> Optimisers:
    muon_groups: list[dict[str, Any]] = []
    adamw_groups: list[dict[str, Any]] = []
    for group in groups:
        matrices, others = split_parameters(group.module)
        if group.muon:
            muon_groups.append({"params": matrices, "lr": config.muon_lr * group.lr_scale})
        else:
            others += matrices
        adamw_groups.append({"params": others, "lr": config.adamw_lr * group.lr_scale})
    muon = Muon(muon_groups, lr=config.muon_lr)
    adamw = torch.optim.AdamW(adamw_groups, lr=config.adamw_lr, weight_decay=0.0, betas=(0.9, 0.98))
    return Optimisers([muon, adamw], clipped=[w for group in adamw_groups for w in group["params"]])


def _train(
    config: GroundingRunConfig,
    trainable: TrainableGrounder,
    optimisers: Optimisers,
    objective: _Objective,
    on_log: OnLog,
) -> Sa2Va:
    """Train until the budget is spent; return the grounder, on the CPU."""
    device = training_device()
    curriculum = Curriculum(config.levels, config.promotion_score)
    parts: dict[str, Stateful] = {
        "model": trainable.model,
        "heads": trainable.heads,
        "optimisers": optimisers,
        "curriculum": curriculum,
    }
    trainer = Trainer(config, parts, on_log, config.clock)
    validation_timer = Timer(config.validation_s, trainer.progress.spent_s)
    seed = config.seed + trainer.progress.session
    requests = (
        (first_seed(seed, step, config.images), step, curriculum.level) for step in trainer.upcoming_steps()
    )
    batches = prefetch(partial(_load, objective.load), requests, workers_for(device))

    def loss_of(batch: Any, progress: Progress) -> Loss:
        with mixed_precision(device):
            return objective.loss(to_device(batch, device), progress)

    @torch.no_grad()
    def validate() -> Metrics:
        """Return the metrics of held-out scenes of the level, and of held-out photographs."""
        found: Metrics = {}
        for prefix, load in objective.held_out.items():
            means = MetricMeans()
            for step in range(VALIDATION_BATCHES):
                first = VALIDATION_SEED + step * config.images
                batch = load(first, step, curriculum.level)
                means.add(loss_of(batch, replace(trainer.progress, step=0)).metrics)
            found |= {f"{prefix}{name}": value for name, value in means.pop().items()}
        return found

    def take_step(progress: Progress) -> Metrics:
        if validation_timer.is_due(progress.spent_s):
            held_out = validate()
            metrics = {f"held_out_{name}": value for name, value in held_out.items()}
            trainer.log_validation(metrics, curriculum.level)
            curriculum.update(held_out[objective.promoted_by])
        loss = loss_of(next(batches), progress)
        torch.autograd.backward(loss.value)
        optimisers.step(warmup_stable_decay(config.spent_share(progress)))
        return loss.metrics | {"loss": float(loss.value.detach())}

    trainer.run(take_step, partial(save_sa2va, trainable.grounder))
    trainable.model.cpu()
    return trainable.grounder
