"""Laws of the Sa2VA network, with random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.model import best_mask, normalise
from engines.grounding.packing import pack
from engines.grounding.structure import Expressions, RefinementKind
from lab.training.initial_weights import initial_grounder
from lab.training.nano_config import LANGUAGE_WIDTH, VISION_SIDE_PX
from lab.training.world.scenes import draw_clip

SIDE = (VISION_SIDE_PX, VISION_SIDE_PX)


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    torch.set_num_threads(1)
    checkpoint = initial_grounder(3)
    checkpoint.model.eval().requires_grad_(False)
    return checkpoint


def _blocks(nano: Sa2Va, phrases: list[str]) -> list[list[int]]:
    return [[*nano.template.segment_question(phrase), *nano.template.answer] for phrase in phrases]


def test_packed_questions_equal_single_questions(nano: Sa2Va) -> None:
    model, template = nano.model, nano.template
    tokens = model.encode_images(normalise(draw_clip(1, frames=1, size=SIDE).frames)).tokens
    blocks = _blocks(nano, ["the red circle", "star", "the shiny thing on the left"])
    packed = pack(template.prefix(), [blocks])
    together = model.prefill(tokens, packed).hidden[0]
    for index, block in enumerate(blocks):
        alone = model.prefill(tokens, pack(template.prefix(), [[block]])).hidden[0, len(template.prefix()) :]
        start = packed.starts[0][index]
        torch.testing.assert_close(together[start : start + len(block)], alone, atol=2e-4, rtol=1e-4)


def test_prefill_equals_the_forward_of_transformers(nano: Sa2Va) -> None:
    """Reference: the whole model called with ids and pixels."""
    model, template = nano.model, nano.template
    pixels = normalise(draw_clip(2, frames=1, size=SIDE).frames)
    ids = torch.tensor([[*template.prefix(), *_blocks(nano, ["the blue star"])[0]]])
    theirs = model.mllm.model(input_ids=ids, pixel_values=pixels).last_hidden_state
    packed = pack(template.prefix(), [_blocks(nano, ["the blue star"])])
    ours = model.prefill(model.encode_images(pixels).tokens, packed).hidden
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-4)


def test_several_images_are_read_in_order(nano: Sa2Va) -> None:
    """Reference: the forward of transformers with several images."""
    model, template = nano.model, nano.template
    pixels = normalise(np.concatenate([draw_clip(seed, frames=1, size=SIDE).frames for seed in (2, 3)]))
    block = _blocks(nano, ["the blue star"])[0]
    ids = torch.tensor([[*template.prefix(2), *block]])
    theirs = model.mllm.model(input_ids=ids, pixel_values=pixels).last_hidden_state
    tokens = model.encode_images(pixels).tokens.flatten(0, 1)[None]
    torch.testing.assert_close(
        model.prefill(tokens, pack(template.prefix(2), [[block]])).hidden, theirs, atol=2e-4, rtol=1e-4
    )


def test_image_tokens_are_in_reading_order(nano: Sa2Va) -> None:
    """A change in a corner of the image changes the image token of that corner most."""
    plain = np.full((1, 256, 256, 3), 90, dtype=np.uint8)
    marked = plain.copy()
    marked[:, 4:28, 228:252] = (250, 10, 10)
    difference = (
        nano.model.encode_images(normalise(marked)).tokens - nano.model.encode_images(normalise(plain)).tokens
    )
    assert int(difference.norm(dim=-1).argmax()) == 7


def test_other_objects_do_not_change_a_mask(nano: Sa2Va) -> None:
    model = nano.model
    maps = model.feature_maps(normalise(draw_clip(4, frames=1).frames))
    prompts = torch.randn(1, 3, 128, generator=torch.Generator().manual_seed(0))
    together, _ = model.decode_masks(maps, prompts)
    alone, _ = model.decode_masks(maps, prompts[:, 1:2])
    assert together.shape == (1, 3, 3, 64, 64)
    torch.testing.assert_close(together[:, 1:2], alone, atol=1e-3, rtol=1e-3)


def test_images_of_a_batch_are_independent(nano: Sa2Va) -> None:
    model = nano.model
    pixels = normalise(np.concatenate([draw_clip(seed, frames=1).frames for seed in (5, 6)]))
    prompts = torch.randn(2, 2, 128, generator=torch.Generator().manual_seed(1))
    both, _ = model.decode_masks(model.feature_maps(pixels), prompts)
    second, _ = model.decode_masks(model.feature_maps(pixels[1:]), prompts[1:])
    torch.testing.assert_close(both[1:], second, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", RefinementKind)
def test_an_untrained_refinement_changes_no_bit_of_a_mask(kind: RefinementKind) -> None:
    model = initial_grounder(3).model.eval().requires_grad_(False)
    maps = model.feature_maps(
        normalise(np.concatenate([draw_clip(seed, frames=1).frames for seed in (5, 6)]))
    )
    prompts = torch.randn(2, 3, 128, generator=torch.Generator().manual_seed(2))
    words = Expressions.padded([torch.randn(4, 128)] * 6, prompts.flatten(0, 1))
    without = model.decode_masks(maps, prompts)
    model.add_refinement(kind)
    assert all(
        torch.equal(a, b) for a, b in zip(model.decode_masks(maps, prompts, words), without, strict=True)
    )
    model.structure.gamma.data.fill_(0.5)
    assert not torch.equal(model.decode_masks(maps, prompts, words)[0], without[0])


def test_an_expression_is_the_tokens_from_begin_up_to_seg(nano: Sa2Va) -> None:
    hidden = torch.randn(2, 9, nano.model.mllm.lm_head.in_features)
    expressions = nano.model.expressions(
        hidden, torch.tensor([1, 0]), torch.tensor([2, 6]), torch.tensor([7, 8])
    )
    assert expressions.valid.sum(dim=1).tolist() == [5, 2]
    torch.testing.assert_close(expressions.tokens[0], nano.model.seg_embeddings(hidden[1, 2:7]))
    torch.testing.assert_close(expressions.seg, nano.model.seg_embeddings(hidden[[1, 0], [7, 8]]))


def test_best_mask_has_the_highest_predicted_iou() -> None:
    masks = torch.arange(3.0).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    assert best_mask(masks, torch.tensor([[0.1, 0.9, 0.3]])).eq(1).all()


def test_token_log_probs_are_a_distribution(nano: Sa2Va) -> None:
    chances = nano.model.token_log_probs(torch.randn(4, LANGUAGE_WIDTH)).exp().sum(dim=-1)
    torch.testing.assert_close(chances, torch.ones(4), atol=1e-4, rtol=0)
