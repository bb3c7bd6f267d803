"""Laws of what the grounder is taught."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from engines.grounding.checkpoints import Sa2Va
from lab.training.batches import Batch, Gazes, Pointings, draw_batch
from lab.training.losses import DRAWN, Helpers, drawing_lesson, iou, placing_loss, reading_lesson
from lab.training.trainable_grounder import fresh_grounder, fresh_helpers
from lab.training.world.levels import CURRICULUM


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    torch.set_num_threads(1)
    return fresh_grounder(7)


@pytest.fixture(scope="module")
def batch(nano: Sa2Va) -> Batch:
    return draw_batch(range(3, 5), nano.template, CURRICULUM[-1], window=False, referring=3)


@pytest.fixture(scope="module")
def windows(nano: Sa2Va) -> Batch:
    return draw_batch(range(3, 5), nano.template, CURRICULUM[-1], window=True, referring=3)


@pytest.fixture
def helpers() -> Helpers:
    return fresh_helpers(7)


def test_iou_of_a_mask_with_itself_is_one_and_of_nothing_with_nothing() -> None:
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[0, :2] = True
    assert iou(mask, mask).tolist() == [1.0, 1.0]
    assert iou(mask, ~mask).tolist() == [0.0, 0.0]


def test_a_few_steps_on_one_batch_reduce_every_loss(nano: Sa2Va, helpers: Helpers, batch: Batch) -> None:
    model = nano.model
    optimiser = torch.optim.AdamW([*model.parameters(), *helpers.parameters()], lr=1e-3)

    def losses() -> tuple[torch.Tensor, torch.Tensor]:
        read, words = reading_lesson(model, helpers, batch)
        drawn, _ = drawing_lesson(model, helpers, model.feature_maps(batch.pixels), words, batch)
        return read.loss, drawn.loss + placing_loss(model, helpers, words.seg, batch)

    first = [float(part.detach()) for part in losses()]
    for _ in range(6):
        optimiser.zero_grad()
        sum(losses(), torch.zeros(())).backward()
        optimiser.step()
    last = [float(part.detach()) for part in losses()]
    assert last[0] < first[0]
    assert last[1] < first[1]


def test_every_part_of_the_model_learns(nano: Sa2Va, helpers: Helpers, batch: Batch) -> None:
    model = nano.model
    model.zero_grad()
    read, words = reading_lesson(model, helpers, batch)
    drawn, _ = drawing_lesson(model, helpers, model.feature_maps(batch.pixels), words, batch)
    (read.loss + drawn.loss + placing_loss(model, helpers, words.seg, batch)).backward()
    for part in (
        model.mllm.model.vision_tower,
        model.mllm.model.multi_modal_projector,
        model.mllm.model.language_model,
        model.text_hidden_fcs,
        model.segmenter.vision_encoder,
        model.segmenter.mask_decoder,
    ):
        moved = sum(float(w.grad.abs().sum()) for w in part.parameters() if w.grad is not None)
        assert moved > 0, type(part).__name__


def test_a_prompt_that_is_a_places_code_loses_least_there(
    nano: Sa2Va, helpers: Helpers, batch: Batch
) -> None:
    codes = nano.model.segmenter.get_image_wide_positional_embeddings()[0]
    target = torch.zeros_like(batch.pointings.masks)
    target[:, 8:12, 40:44] = 1.0
    there = replace(batch, pointings=replace(batch.pointings, masks=target))
    right = codes[:, 2, 10].expand(len(target), -1)
    wrong = codes[:, 10, 2].expand(len(target), -1)
    assert (
        placing_loss(nano.model, helpers, right, there) < placing_loss(nano.model, helpers, wrong, there) - 1
    )


def test_where_one_looks_is_told_along_x_and_then_along_y(
    nano: Sa2Va, helpers: Helpers, batch: Batch
) -> None:
    masks = torch.zeros_like(batch.gazes.masks)
    masks[:, 8:10, 48:50] = 1.0
    there = replace(batch, gazes=replace(batch.gazes, masks=masks))
    with torch.no_grad():
        helpers.where.weight.zero_()
        helpers.where.bias.copy_(torch.tensor([48.5, 8.5]) / 31.5 - 1)
        figures = reading_lesson(nano.model, helpers, there)[0].figures
    assert figures["where"] / figures["where/n"] < 0.01


def test_a_batch_without_anything_present_still_has_a_loss(
    nano: Sa2Va, helpers: Helpers, batch: Batch
) -> None:
    none = {field.name: getattr(batch.pointings, field.name)[:0] for field in fields(batch.pointings)}
    unseen = {field.name: getattr(batch.gazes, field.name)[:0] for field in fields(batch.gazes)}
    nothing = replace(batch, pointings=Pointings(**none), gazes=Gazes(**unseen))
    read, words = reading_lesson(nano.model, helpers, nothing)
    drawn, _ = drawing_lesson(nano.model, helpers, nano.model.feature_maps(batch.pixels), words, nothing)
    total = read.loss + drawn.loss + placing_loss(nano.model, helpers, words.seg, nothing)
    assert bool(torch.isfinite(total))


def test_windows_teach_where_things_came_from(nano: Sa2Va, helpers: Helpers, windows: Batch) -> None:
    model = nano.model
    model.zero_grad()
    lesson, words = reading_lesson(model, helpers, windows)
    lesson.loss.backward()
    assert lesson.figures["shift/n"] > 0
    assert 0 < lesson.figures["traced"] < lesson.figures["traced/n"]
    assert helpers.shift.weight.grad is not None and float(helpers.shift.weight.grad.abs().sum()) > 0
    drawn, _ = drawing_lesson(model, helpers, model.feature_maps(windows.pixels[2::3]), words, windows)
    assert bool(torch.isfinite(drawn.loss))


def test_at_most_so_many_masks_of_a_scene_are_drawn(nano: Sa2Va, helpers: Helpers, batch: Batch) -> None:
    _, words = reading_lesson(nano.model, helpers, batch)
    drawn, _ = drawing_lesson(nano.model, helpers, nano.model.feature_maps(batch.pixels), words, batch)
    per_scene = batch.pointings.rows.bincount(minlength=2).clamp(max=DRAWN)
    assert drawn.figures["j/n"] == float(per_scene.sum())
