"""Laws of what the grounder is taught."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engines.grounding.checkpoints import Sa2Va
from engines.training.grounding_recipe import fresh_grounder, fresh_helpers
from engines.training.losses import Helpers, drawing_lesson, iou, placing_loss, reading_lesson
from engines.training.mixture import Batch, draw_batch


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    torch.set_num_threads(1)
    return fresh_grounder(7)


@pytest.fixture(scope="module")
def batch(nano: Sa2Va) -> Batch:
    return draw_batch(3, pictures=2, questions=3, template=nano.template)


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
        read, _, prompts = reading_lesson(model, helpers, batch)
        drawn = drawing_lesson(model, helpers, model.maps(batch.pixels), prompts, batch)
        return read.loss, drawn.loss + placing_loss(model, helpers, prompts, batch)

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
    read, _, prompts = reading_lesson(model, helpers, batch)
    drawn = drawing_lesson(model, helpers, model.maps(batch.pixels), prompts, batch)
    (read.loss + drawn.loss + placing_loss(model, helpers, prompts, batch)).backward()
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
    target = torch.zeros_like(batch.masks)
    target[:, :, 8:12, 40:44] = 1.0
    there = replace(batch, masks=target, present=torch.ones_like(batch.present))
    right = codes[:, 2, 10].expand(2, 3, -1)
    wrong = codes[:, 10, 2].expand(2, 3, -1)
    assert (
        placing_loss(nano.model, helpers, right, there) < placing_loss(nano.model, helpers, wrong, there) - 1
    )


def test_a_batch_without_anything_present_still_has_a_loss(
    nano: Sa2Va, helpers: Helpers, batch: Batch
) -> None:
    nothing = replace(batch, present=torch.zeros_like(batch.present), seg=batch.decided)
    read, _, prompts = reading_lesson(nano.model, helpers, nothing)
    drawn = drawing_lesson(nano.model, helpers, nano.model.maps(batch.pixels), prompts, nothing)
    total = read.loss + drawn.loss + placing_loss(nano.model, helpers, prompts, nothing)
    assert bool(torch.isfinite(total))
