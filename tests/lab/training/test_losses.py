"""Laws of the loss terms of the grounder."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.structure import Expressions
from lab.training.batches import (
    IGNORE_INDEX,
    AttentionTargets,
    GroundingBatch,
    SegTargets,
    draw_grounding_batch,
)
from lab.training.initial_weights import initial_grounder
from lab.training.losses import (
    MASKS_PER_SCENE,
    AuxiliaryHeads,
    DenseClassHead,
    dense_class_loss,
    dice_loss,
    grounding_loss,
    iou,
    mask_loss,
    prompt_position_loss,
    scatter,
    segmenter_maps,
)
from lab.training.trainable_grounder import initial_heads
from lab.training.world.levels import CURRICULUM


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    torch.set_num_threads(1)
    return initial_grounder(7)


@pytest.fixture(scope="module")
def batch(nano: Sa2Va) -> GroundingBatch:
    return draw_grounding_batch(range(3, 5), nano.template, CURRICULUM[-1], window=False, expressions=3)


@pytest.fixture(scope="module")
def windows(nano: Sa2Va) -> GroundingBatch:
    return draw_grounding_batch(range(3, 5), nano.template, CURRICULUM[-1], window=True, expressions=3)


@pytest.fixture
def heads() -> AuxiliaryHeads:
    return initial_heads(7)


def test_iou_is_1_of_equal_masks_and_0_of_disjoint_ones() -> None:
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[0, :2] = True
    assert iou(mask, mask).tolist() == [1.0, 1.0], "of empty ones, too"
    assert iou(mask, ~mask).tolist() == [0.0, 0.0]


def test_dice_loss_is_0_of_equal_masks_and_near_1_of_disjoint_ones() -> None:
    mask = torch.zeros(3, 8, 8)
    mask[:, :4] = 1.0
    assert dice_loss(mask, mask).tolist() == [0.0] * 3
    assert bool((dice_loss(mask, 1 - mask) > 0.98).all())


def test_a_few_steps_on_one_batch_reduce_every_loss(
    nano: Sa2Va, heads: AuxiliaryHeads, batch: GroundingBatch
) -> None:
    model = nano.model
    optimiser = torch.optim.AdamW([*model.parameters(), *heads.parameters()], lr=3e-4)

    def losses() -> tuple[torch.Tensor, torch.Tensor]:
        grounding, expressions = grounding_loss(model, heads, batch)
        masks, _ = mask_loss(model, heads, segmenter_maps(model, batch.pixels), expressions, batch)
        return grounding.value, masks.value + prompt_position_loss(model, heads, expressions.seg, batch)

    first = [float(loss.detach()) for loss in losses()]
    for _ in range(6):
        optimiser.zero_grad()
        sum(losses(), torch.zeros(())).backward()
        optimiser.step()
    last = [float(loss.detach()) for loss in losses()]
    assert last[0] < first[0]
    assert last[1] < first[1]


def test_every_part_of_the_model_gets_a_gradient(
    nano: Sa2Va, heads: AuxiliaryHeads, batch: GroundingBatch
) -> None:
    model = nano.model
    model.zero_grad()
    grounding, expressions = grounding_loss(model, heads, batch)
    masks, _ = mask_loss(model, heads, segmenter_maps(model, batch.pixels), expressions, batch)
    position = prompt_position_loss(model, heads, expressions.seg, batch)
    (grounding.value + masks.value + position).backward()
    for part in (
        model.mllm.model.vision_tower,
        model.mllm.model.multi_modal_projector,
        model.mllm.model.language_model,
        model.text_hidden_fcs,
        model.segmenter.vision_encoder,
        model.segmenter.mask_decoder,
    ):
        gradient = sum(float(w.grad.abs().sum()) for w in part.parameters() if w.grad is not None)
        assert gradient > 0, type(part).__name__


def test_prompt_position_loss_is_least_for_the_positional_embedding_of_the_object(
    nano: Sa2Va, heads: AuxiliaryHeads, batch: GroundingBatch
) -> None:
    codes = nano.model.segmenter.get_image_wide_positional_embeddings()[0]
    target = torch.zeros_like(batch.segs.masks)
    target[:, 8:12, 40:44] = 1.0
    at_target = replace(batch, segs=replace(batch.segs, masks=target))
    right = codes[:, 2, 10].expand(len(target), -1)
    wrong = codes[:, 10, 2].expand(len(target), -1)
    losses = [prompt_position_loss(nano.model, heads, prompts, at_target) for prompts in (right, wrong)]
    assert losses[0] < losses[1] - 1


def test_localisation_is_along_x_then_y(nano: Sa2Va, heads: AuxiliaryHeads, batch: GroundingBatch) -> None:
    masks = torch.zeros_like(batch.attention.masks)
    masks[:, 8:10, 48:50] = 1.0
    at_target = replace(batch, attention=replace(batch.attention, masks=masks))
    with torch.no_grad():
        heads.localisation.weight.zero_()
        heads.localisation.bias.copy_(torch.tensor([48.5, 8.5]) / 31.5 - 1)
        metrics = grounding_loss(nano.model, heads, at_target)[0].metrics
    assert metrics["centre_error"] / metrics["centre_error/n"] < 0.01


def test_a_batch_without_any_seg_has_a_finite_loss(
    nano: Sa2Va, heads: AuxiliaryHeads, batch: GroundingBatch
) -> None:
    segs = {field.name: getattr(batch.segs, field.name)[:0] for field in fields(batch.segs)}
    attention = {field.name: getattr(batch.attention, field.name)[:0] for field in fields(batch.attention)}
    empty = replace(batch, segs=SegTargets(**segs), attention=AttentionTargets(**attention))
    grounding, expressions = grounding_loss(nano.model, heads, empty)
    masks, _ = mask_loss(nano.model, heads, segmenter_maps(nano.model, batch.pixels), expressions, empty)
    position = prompt_position_loss(nano.model, heads, expressions.seg, empty)
    assert bool(torch.isfinite(grounding.value + masks.value + position))


def test_windows_have_correspondence_and_displacement_losses(
    nano: Sa2Va, heads: AuxiliaryHeads, windows: GroundingBatch
) -> None:
    model = nano.model
    model.zero_grad()
    loss, expressions = grounding_loss(model, heads, windows)
    loss.value.backward()
    assert loss.metrics["direction/n"] > 0
    assert 0 < loss.metrics["correspondence"] < loss.metrics["correspondence/n"]
    gradient = heads.displacement.weight.grad
    assert gradient is not None and float(gradient.abs().sum()) > 0
    masks, _ = mask_loss(model, heads, segmenter_maps(model, windows.pixels[2::3]), expressions, windows)
    assert bool(torch.isfinite(masks.value))


def test_at_most_so_many_masks_of_a_scene_are_decoded(
    nano: Sa2Va, heads: AuxiliaryHeads, batch: GroundingBatch
) -> None:
    _, expressions = grounding_loss(nano.model, heads, batch)
    maps = segmenter_maps(nano.model, batch.pixels)
    masks, predictions = mask_loss(nano.model, heads, maps, expressions, batch)
    per_scene = batch.segs.rows.bincount(minlength=2).clamp(max=MASKS_PER_SCENE)
    assert masks.metrics["j/n"] == float(per_scene.sum()) == len(predictions.truth)


def test_cells_of_unknown_class_have_no_loss() -> None:
    head, cells = DenseClassHead(8), torch.randn(1, 16, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.full((1, 4, 4), IGNORE_INDEX)
    labels[0, 0, 0], labels[0, 3, 3] = 2, 0
    loss, metrics = dense_class_loss(head, cells, labels, labels)
    assert metrics["category/n"] == 1
    assert torch.isfinite(loss)
    moved = cells.clone()
    moved[:, 1:15] += 1
    assert torch.equal(dense_class_loss(head, moved, labels, labels)[0], loss)


def test_labels_of_a_finer_grid_are_sampled_at_the_centres_of_cells() -> None:
    head, cells = DenseClassHead(8), torch.zeros(1, 4, 8)
    labels = torch.zeros(1, 6, 6, dtype=torch.int64)
    labels[0, 1, 1] = 3
    assert dense_class_loss(head, cells, labels, labels)[1]["category/n"] == 1


def test_scatter_pads_the_other_rows() -> None:
    words = Expressions(torch.randn(2, 3, 8), torch.ones(2, 3, dtype=torch.bool), torch.randn(2, 8))
    rows = torch.tensor([3, 0])
    scattered = scatter(words, rows, 4)
    assert torch.equal(scattered.tokens[rows], words.tokens)
    assert torch.equal(scattered.seg[rows], words.seg)
    assert scattered.valid.any(dim=1).tolist() == [True, False, False, True]
    none = Expressions.padded([], torch.zeros(0, 8))
    assert not scatter(none, torch.zeros(0, dtype=torch.int64), 4).valid.any()
