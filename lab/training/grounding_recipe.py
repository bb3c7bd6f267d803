"""How nano's grounder is trained from scratch on drawn pictures.

Three stages. `vision`: its eyes learn to name what they see. `grounding`: the language model learns to look,
point and speak; SAM-2 is not there yet.
`decoder`: SAM-2 joins, as stage `tracker` has taught it, and learns to draw what `[SEG]` points at, the
language model following at a lower rate. The learning rate follows the share of the budget spent.

Seeds are `(number * 10**6 + step) * pictures + i`: a session that resumes counts its number up, so that it
draws no picture again; runs whose numbers are far apart share none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from engines.grounding.checkpoints import Sa2Va, save_sa2va
from engines.grounding.model import SaModel
from engines.grounding.structure import Expressions
from engines.grounding.templates import Template
from lab.training.batches import Batch, Pictures, draw_batch, draw_pictures
from lab.training.checkpoint import Progress, Stateful
from lab.training.curriculum import Ladder
from lab.training.device import mixed_precision, to_device, training_device
from lab.training.losses import (
    Helpers,
    Lesson,
    drawing_lesson,
    placing_loss,
    reading_lesson,
    seeing_lesson,
)
from lab.training.optimiser import Muon, Optimisers, split_parameters
from lab.training.prefetch import feed, painters_for
from lab.training.structure_losses import Structure, structure_loss, warmth
from lab.training.task_mixture import shows_window
from lab.training.trainable_grounder import Pupil, fresh_pupil, inherit, refined
from lab.training.trainer import Course, Every, Figures, Run, Tally, Tell
from lab.training.world.holdout import VALIDATION_SEED
from lab.training.world.levels import Level
from streaming.errors import CheckpointError

READER_SCALE: Final = 0.4
"Learning rate of what stage `grounding` taught, while stage `decoder` runs."
BRIDGE_SCALE: Final = 0.5
"Learning rate of what leads from the language model to SAM-2; at twice that, or by Muon, its ReLUs die."
DRAWER_SCALE: Final = 0.25
"Learning rate of SAM-2."
READ_EVERY: Final = 2
"""Stage `decoder` teaches reader and image encoder in one step of so many; those without them are cheap. No
factor in common with `WINDOW_EVERY`: at 3 the reader met nothing but windows."""

JUDGED_BATCHES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingRun(Run):
    """One run of stage `vision`, `grounding` or `decoder`."""

    pictures: int = 8
    "Of a step."
    expressions: int = 8
    "About each picture, beside questions."
    judge_s: float = 240.0
    "Time between two measurements on held-out scenes."
    muon_rate: float = 0.02
    adam_rate: float = 2e-3
    tell_steps: int = 50
    structure: Structure = field(default_factory=Structure)
    "Of stage `decoder`."
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    """What a stage teaches."""

    draw: Callable[[int, int, Level], Any]
    "From a first seed, the number of a step and a level to a batch."
    teach: Callable[[Any, Progress], Lesson]
    "From a batch and how far the run is to its loss."
    judged_by: str
    """The rate that opens gates: `kind`, of patches named rightly; `hit`, how often a prompt is most like a
    patch of the very thing that is meant."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Something that learns, at its own share of the learning rates."""

    module: nn.Module
    scale: float
    by_muon: bool
    "Its matrices by Muon; else everything by AdamW."


def train_vision(run: GroundingRun, tell: Tell) -> Sa2Va:
    """Stage `vision`: to name what is seen. Returns the grounder, on the CPU."""
    pupil = fresh_pupil(run.number)
    tower = pupil.model.mllm.model.vision_tower
    parts = [_Part(nn.ModuleList([tower, pupil.helpers.patches]), 1.0, True)]

    def teach(pictures: Pictures, _: Progress) -> Lesson:
        return seeing_lesson(pupil.model, pupil.helpers, pictures)

    subject = _Subject(partial(_pictures_of, run), teach, judged_by="kind")
    return _train(run, pupil, _optimisers(run, parts), subject, tell)


def train_grounding(run: GroundingRun, vision: Path, tell: Tell) -> Sa2Va:
    """Stage `grounding`, from stage `vision`'s last.pt: everything but the drawing. Returns likewise."""
    pupil = fresh_pupil(run.number)
    model, helpers = pupil.model, pupil.helpers
    _take_over(pupil, vision)
    parts = [
        _Part(_bridge(model, helpers), BRIDGE_SCALE, False),
        _Part(_reader(model, helpers), 1.0, True),
    ]

    def teach(batch: Batch, _: Progress) -> Lesson:
        read, words = reading_lesson(model, helpers, batch)
        placed = placing_loss(model, helpers, words.seg, batch)
        return Lesson(read.loss + placed, read.figures | {"placed": float(placed.detach())})

    subject = _Subject(partial(_batch_of, run, pupil.grounder.template), teach, judged_by="hit")
    return _train(run, pupil, _optimisers(run, parts), subject, tell)


def train_decoder(run: GroundingRun, reader: Path, tracker: Path, tell: Tell) -> Sa2Va:
    """Stage `decoder`: from the last.pt of stages `grounding` and `tracker`. Returns likewise."""
    pupil = refined(fresh_pupil(run.number), run.structure.refinement)
    model, helpers = pupil.model, pupil.helpers
    ladder = Ladder(run.levels, run.gate)
    ladder.load_state_dict(_take_over(pupil, reader))
    run = replace(run, levels=ladder.above)
    inherit(model.segmenter, torch.load(tracker, weights_only=True, map_location="cpu")["average"])
    # Muon's steps have one size whatever the gradient's: with them the decoder did not learn to listen.
    parts = [
        _Part(nn.ModuleList([model.segmenter, helpers.map]), DRAWER_SCALE, False),
        _Part(_bridge(model, helpers), BRIDGE_SCALE, False),
        _Part(_reader(model, helpers), READER_SCALE, True),
    ]
    if model.structure is not None:
        parts.append(_Part(model.structure, DRAWER_SCALE, False))

    def teach(batch: Batch, progress: Progress) -> Lesson:
        reads, warm = progress.step % READ_EVERY == 0, warmth(run.share(progress))
        if model.structure is not None:
            model.structure.gamma_scale = warm
        if reads:
            read, words = reading_lesson(model, helpers, batch)
        else:
            read, words = Lesson(torch.zeros((), device=batch.pixels.device), {}), _words(model, batch)
        placed = placing_loss(model, helpers, words.seg, batch)
        drawing, drawn = drawing_lesson(model, helpers, _maps(model, batch, reads), words, batch)
        aligning, aligned = structure_loss(run.structure, drawn)
        return Lesson(
            read.loss + placed + drawing.loss + warm * aligning,
            read.figures | drawing.figures | aligned | {"placed": float(placed.detach())},
        )

    subject = _Subject(partial(_batch_of, run, pupil.grounder.template), teach, judged_by="hit")
    return _train(run, pupil, _optimisers(run, parts), subject, tell)


def _take_over(pupil: Pupil, last: Path) -> Any:
    """Give it what an earlier stage has learnt; returns that stage's ladder. Raises CheckpointError."""
    saved = torch.load(last, weights_only=True, map_location="cpu")
    for module, learnt in ((pupil.model, saved["model"]), (pupil.helpers, saved["helpers"])):
        # What is missing begins now: a refinement, a head newer than that stage.
        found = module.load_state_dict(learnt, strict=False)
        if found.unexpected_keys:
            surplus = ", ".join(found.unexpected_keys[:10])
            raise CheckpointError(
                f"{last} has learnt what this pupil has no place for: {surplus}.",
                remedy="Train that stage again.",
            )
    return saved["ladder"]


def _words(model: SaModel, batch: Batch) -> Expressions:
    """What was said of the pointings; only `text_hidden_fcs`, the last layers, will learn from it."""
    with torch.no_grad():
        hidden = model.prefill(model.encode_images(batch.pixels).tokens, batch.packed).hidden
    pointings = batch.pointings
    return model.expressions(hidden, pointings.rows, pointings.begins, pointings.seg)


def _maps(model: SaModel, batch: Batch, learning: bool) -> tuple[Tensor, ...]:
    # Whoever only measures wants no gradients even of a step that learns.
    with torch.set_grad_enabled(learning and torch.is_grad_enabled()):
        return model.feature_maps(batch.pixels[batch.pictures - 1 :: batch.pictures])


def _reader(model: SaModel, helpers: Helpers) -> nn.Module:
    """What Muon teaches: the language model, its eyes, and the heads on both."""
    heat = nn.ParameterList([helpers.heat_bias])
    heads = [helpers.patches, helpers.place, helpers.heat, helpers.where, helpers.shift]
    return nn.ModuleList([model.mllm, *heads, heat])


def _bridge(model: SaModel, helpers: Helpers) -> nn.Module:
    """From the language model to SAM-2; its weights are large (`PROMPT_GAIN`), Muon hardly moves them."""
    return nn.ModuleList([model.text_hidden_fcs, helpers.prompt, helpers.point])


# --- the loop -------------------------------------------------------------------------------------


def rate_at(spent: float) -> float:
    """Factor on the learning rates where a share 0..1 of the budget is spent."""
    if spent < 0.02:
        return max(spent / 0.02, 0.05)
    return 1.0 if spent < 0.55 else max(0.03, (1.0 - spent) / 0.45)


def first_seed(number: int, step: int, pictures: int) -> int:
    """Seed of the first of a step's pictures."""
    return (number * 10**6 + step) * pictures


def _pictures_of(run: GroundingRun, first: int, _: int, level: Level) -> Pictures:
    return draw_pictures(range(first, first + run.pictures), level)


def _batch_of(run: GroundingRun, template: Template, first: int, step: int, level: Level) -> Batch:
    """Scenes from seed `first` on: as many as a step has, fewer where each is a window."""
    window = shows_window(level, step)
    seeds = range(first, first + (max(run.pictures // 2, 1) if window else run.pictures))
    return draw_batch(seeds, template, level, window=window, referring=run.expressions)


def _optimisers(run: GroundingRun, parts: list[_Part]) -> Optimisers:
    matrices: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for part in parts:
        of_matrices, of_others = split_parameters(part.module)
        if part.by_muon:
            matrices.append({"params": of_matrices, "lr": run.muon_rate * part.scale})
        else:
            of_others += of_matrices
        others.append({"params": of_others, "lr": run.adam_rate * part.scale})
    muon = Muon(matrices, lr=run.muon_rate)
    adam = torch.optim.AdamW(others, lr=run.adam_rate, weight_decay=0.0, betas=(0.9, 0.98))
    return Optimisers([muon, adam], clipped=[weight for group in others for weight in group["params"]])


def _train(run: GroundingRun, pupil: Pupil, optimisers: Optimisers, subject: _Subject, tell: Tell) -> Sa2Va:
    """Steps until the time is spent; the pupil leaves the GPU then."""
    device = training_device()
    ladder = Ladder(run.levels, run.gate)
    parts: dict[str, Stateful] = {
        "model": pupil.model,
        "helpers": pupil.helpers,
        "optimisers": optimisers,
        "ladder": ladder,
    }
    course = Course(run, parts, tell, run.clock)
    judging = Every(run.judge_s, course.progress.spent_s)
    number = run.number + course.progress.session
    orders = (
        (first_seed(number, step, run.pictures), step, ladder.level) for step in count(course.progress.step)
    )
    batches = feed(partial(_drawn, subject.draw), orders, painters_for(device))

    def learnt(batch: Any, progress: Progress) -> Lesson:
        with mixed_precision(device):
            return subject.teach(to_device(batch, device), progress)

    @torch.no_grad()
    def judge() -> Figures:
        """Rates on unseen scenes of the level."""
        tally = Tally()
        for step in range(JUDGED_BATCHES):
            first = VALIDATION_SEED + step * run.pictures
            batch = subject.draw(first, step, ladder.level)
            tally.add(learnt(batch, replace(course.progress, step=0)).figures)
        return tally.take()

    def take_step(progress: Progress) -> Figures:
        if judging.strikes(progress.spent_s):
            told = judge()
            course.tell({f"held_out_{name}": value for name, value in told.items()} | {"rung": ladder.rung})
            ladder.judged(told[subject.judged_by])
        lesson = learnt(next(batches), progress)
        torch.autograd.backward(lesson.loss)
        optimisers.step(rate_at(run.share(progress)))
        return lesson.figures | {"loss": float(lesson.loss.detach())}

    course.run(take_step, partial(save_sa2va, pupil.grounder))
    pupil.model.cpu()
    return pupil.grounder


def _drawn(draw: Callable[[int, int, Level], Any], order: tuple[int, int, Level]) -> Any:
    return draw(*order)
