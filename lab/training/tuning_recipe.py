"""How a Sa2VA of any size goes on learning: the papers' instruction tuning, on the drawn world.

What learns is the language model, what leads into it from its eyes, what leads from it to SAM-2, and SAM-2's
mask decoder. The language model's eyes and the rest of SAM-2 are frozen. Losses and rates are Sa2VA's own
(arXiv 2501.04001 §3; bytedance/Sa2VA `projects/sa2va/configs`), but for its LoRA: here the whole language
model learns.
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

from engines.grounding.checkpoints import Sa2Va, load_sa2va, save_sa2va
from engines.grounding.model import LanguageModelInputs, SaModel, best_mask
from engines.grounding.packing import expand_positions
from engines.grounding.structure import Expressions
from engines.grounding.templates import Template
from lab.training.checkpoint import Progress
from lab.training.curves import CURVES, draw_runs
from lab.training.device import mixed_precision, to_device, training_device
from lab.training.grounding_recipe import first_seed
from lab.training.losses import Lesson, iou
from lab.training.optimiser import Optimisers
from lab.training.prefetch import feed, painters_for
from lab.training.task_mixture import shows_window
from lab.training.trainer import Course, Every, Figures, Run, Tally, Tell
from lab.training.tuning_batches import Sizes, TuningBatch, draw_tuning_batch
from lab.training.world.holdout import VALIDATION_SEED
from lab.training.world.levels import CURRICULUM, Level

LEARNING: Final = (
    "mllm.model.language_model.",
    "mllm.lm_head.",
    "mllm.model.multi_modal_projector.",
    "mllm.model.visual.merger.",
    "mllm.model.visual.deepstack_merger_list.",
    "text_hidden_fcs.",
    "segmenter.mask_decoder.",
    "structure.",
)
"Names of what learns begin so; all else is frozen."
BCE_WEIGHT: Final = 2.0
DICE_WEIGHT: Final = 0.5
WARM_SHARE: Final = 0.05
"Of the budget."
JUDGED_BATCHES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningRun(Run):
    """One run of tuning."""

    checkpoint: Path
    "It begins with what is in this folder, and needs it again to go on: what is frozen is not kept twice."
    pictures: int = 2
    "Of a step."
    expressions: int = 5
    "About each picture, beside questions."
    rate: float = 4e-5
    number: int = 501
    levels: tuple[Level, ...] = CURRICULUM[-1:]
    gate: float = math.inf
    judge_s: float = 600.0
    "Time between two measurements on held-out scenes."
    tell_steps: int = 10
    checkpoint_s: float = 600.0
    "Gigabytes are written each time."
    export_s: float = 3600.0


class Learning:
    """What of a model learns, as a checkpoint keeps it."""

    def __init__(self, model: SaModel) -> None:
        """Freezes the rest."""
        self._model = model
        for name, weight in model.named_parameters():
            weight.requires_grad_(name.startswith(LEARNING))

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """By name."""
        return {name: weight for name, weight in self._model.named_parameters() if weight.requires_grad}

    def state_dict(self) -> dict[str, Tensor]:
        """The weights that learn, and no others."""
        return {name: weight.detach() for name, weight in self.weights.items()}

    def load_state_dict(self, state: Mapping[str, Tensor], /) -> None:
        """Be as `state_dict` said. Raises ValueError where it was of another model."""
        if state.keys() != self.weights.keys():
            raise ValueError("other weights learnt there")
        self._model.load_state_dict(state, strict=False)


def train_tuning(run: TuningRun, tell: Tell) -> Sa2Va:
    """Tune until the budget is spent; call again to go on after an interruption. Returns it, on the CPU.

    `plot.CURVES` is drawn in the run's folder then. Raises NotFound, CheckpointError.
    """
    device = training_device()
    checkpoint = load_sa2va(run.checkpoint)
    model, level = checkpoint.model.to(device), run.levels[0]
    learning = Learning(model)
    optimisers = _optimisers(learning, run)
    course = Course(run, {"learning": learning, "optimisers": optimisers}, tell)
    judging = Every(run.judge_s, course.progress.spent_s)
    draw = partial(_draw, run, Sizes.of(checkpoint, run.expressions), checkpoint.template, level)
    number = run.number + course.progress.session
    orders = ((first_seed(number, step, run.pictures), step) for step in course.steps())
    batches = feed(draw, orders, painters_for(device))

    @torch.no_grad()
    def judge() -> Figures:
        """Rates on held-out scenes."""
        tally = Tally()
        for step in range(JUDGED_BATCHES):
            batch = draw((VALIDATION_SEED + step * run.pictures, step))
            tally.add(_lesson(model, to_device(batch, device)).figures)
        return {f"held_out_{name}": value for name, value in tally.take().items()}

    def take_step(progress: Progress) -> Figures:
        if judging.strikes(progress.spent_s):
            course.tell(judge() | {"rung": 0})
        lesson = _lesson(model, to_device(next(batches), device))
        torch.autograd.backward(lesson.loss)
        optimisers.step(rate_at(run.share(progress)))
        return lesson.figures

    try:
        course.run(take_step, partial(save_sa2va, checkpoint))
    finally:
        draw_runs([run.directory], run.directory / CURVES)
    model.cpu().requires_grad_(False)
    return checkpoint


def rate_at(spent: float) -> float:
    """Factor on the learning rate where a share 0..1 of the budget is spent: up, then a cosine to nothing."""
    if spent < WARM_SHARE:
        return max(spent / WARM_SHARE, 0.01)
    return 0.5 * (1 + math.cos(math.pi * (spent - WARM_SHARE) / (1 - WARM_SHARE)))


def tuning_lesson(model: SaModel, batch: TuningBatch) -> Lesson:
    """What it says: cross entropy of every token of the answers. What it draws: BCE and dice.

    Of the decoder's three masks the one that it trusts most is taught, as the papers do.
    """
    hidden = model.forward_cached(written(model, batch), DynamicCache())
    rows, places, tokens = batch.said.unbind(dim=1)
    told = model.token_log_probs(hidden[rows, places])
    speaking = functional.nll_loss(told, tokens)
    right = (told.argmax(dim=1) == tokens).sum()
    words = model.expressions(hidden, *batch.pointed.unbind(dim=1))
    masks = _drawn(model, batch, words)
    bce = functional.binary_cross_entropy_with_logits(masks, batch.masks, reduction="none").mean(dim=(1, 2))
    drawing = BCE_WEIGHT * bce + DICE_WEIGHT * _dice(masks.sigmoid(), batch.masks)
    loss = speaking + drawing.sum() / max(len(drawing), 1)
    figures = {
        "loss": float(loss.detach()),
        "said": float(right),
        "said/n": float(len(tokens)),
        "j": float(iou(masks > 0, batch.masks > 0.5).sum()),
        "j/n": float(len(masks)),
    }
    return Lesson(loss, figures)


def written(model: SaModel, batch: TuningBatch) -> LanguageModelInputs:
    """Everything of a batch as the language model takes it in."""
    look, packed = model.encode_images(batch.look), batch.packed
    embedded, pictured = model.embed(packed.ids, look.tokens)
    deep = tuple(level.flatten(0, 1) for level in look.deepstack)
    return LanguageModelInputs(embedded, expand_positions(packed.positions, batch.axes), packed.bias, pictured, deep)


def _drawn(model: SaModel, batch: TuningBatch, words: Expressions) -> Tensor:
    """(N, D / 4, D / 4) float32 logits; drawn scene by scene, as many things as each has."""
    with torch.no_grad():
        maps = model.feature_maps(batch.draw)
    drawn = [batch.masks.new_zeros(0, *batch.masks.shape[1:])]
    for scene in range(len(batch.draw)):
        own = batch.pointed[:, 0] == scene
        if own.any():
            here = tuple(level[scene : scene + 1] for level in maps)
            drawn.append(best_mask(*model.decode_masks(here, words.seg[own][None], words[own]))[0].float())
    return torch.cat(drawn)


def _dice(found: Tensor, true: Tensor) -> Tensor:
    """(N, h, w) each, 0..1 → (N,)."""
    both = 2 * (found * true).sum(dim=(1, 2)) + 1
    return 1 - both / (found.sum(dim=(1, 2)) + true.sum(dim=(1, 2)) + 1)


def _lesson(model: SaModel, batch: TuningBatch) -> Lesson:
    with mixed_precision(batch.look.device):
        return tuning_lesson(model, batch)


def _draw(
    run: TuningRun, sizes: Sizes, template: Template, level: Level, order: tuple[int, int]
) -> TuningBatch:
    """Scenes of a step: a first seed and the step's number; fewer where each is a window."""
    first, step = order
    window = shows_window(level, step)
    seeds = range(first, first + (max(run.pictures // 2, 1) if window else run.pictures))
    return draw_tuning_batch(seeds, template, level, window=window, sizes=sizes)


def _optimisers(learning: Learning, run: TuningRun) -> Optimisers:
    weights = list(learning.weights.values())
    adam = torch.optim.AdamW(weights, lr=run.rate, betas=(0.9, 0.999), weight_decay=0.05)
    return Optimisers([adam], clipped=weights)
