"""Mask selection by SAM-2's rules, and the mask decoder compared with transformers' module."""

from __future__ import annotations

import torch

from engines.tracking.mask_decoder import (
    BestOfMultimask,
    MaskCandidates,
    SamHeads,
    SingleMask,
    StableOrBestMask,
    single_mask_selection,
)
from engines.tracking.memory_attention import to_tokens
from lab.training.initial_weights import initial_tracker
from lab.training.nano_config import tracker_config


def candidates(single: torch.Tensor) -> MaskCandidates:
    """One object: this single mask, and multimask outputs of 1, 2 and 3 everywhere; the second is best."""
    others = torch.tensor([1.0, 2.0, 3.0])[:, None, None].expand(3, 4, 4)
    masks = torch.cat([single[None], others])[None]
    tokens = torch.arange(4.0)[None, :, None].expand(1, 4, 2)
    return MaskCandidates(masks, torch.tensor([[0.5, 0.1, 0.9, 0.2]]), tokens, torch.ones(1))


def wanted(all_masks: MaskCandidates, part: slice) -> MaskCandidates:
    masks, ious, tokens, object_score = all_masks
    return MaskCandidates(masks[:, part], ious[:, part], tokens[:, part], object_score)


def test_single_mask_selects_the_first_mask() -> None:
    chosen = SingleMask()(candidates(torch.full((4, 4), 7.0)))
    assert (chosen.mask == 7).all() and chosen.iou == 0.5 and (chosen.token == 0).all()


def test_best_of_multimask_selects_the_highest_iou_with_its_token() -> None:
    chosen = BestOfMultimask()(wanted(candidates(torch.zeros(4, 4)), BestOfMultimask.wanted))
    assert (chosen.mask == 2).all() and chosen.iou == 0.9 and (chosen.token == 2).all()


def test_an_unstable_single_mask_is_replaced_by_the_best_multimask_output() -> None:
    rule = StableOrBestMask(delta=0.05, threshold=0.98)
    steady = torch.where(torch.arange(4) < 2, 1.0, -1.0).expand(4, 4)
    assert torch.equal(rule(candidates(steady)).mask[0], steady)
    shaky = steady.clone()
    shaky[0, 0] = 0.01  # above -0.05, not above 0.05: 7 of 8 pixels are above both thresholds
    chosen = rule(candidates(shaky))
    assert (chosen.mask == 2).all() and chosen.iou == 0.9
    assert (chosen.token == 0).all(), "the token is the single mask's in both cases"


def test_an_empty_single_mask_is_stable() -> None:
    nothing = torch.full((4, 4), -1.0)
    assert torch.equal(StableOrBestMask(0.05, 0.98)(candidates(nothing)).mask[0], nothing)


def test_the_selection_of_a_single_mask_follows_from_the_configuration() -> None:
    config = tracker_config()
    assert single_mask_selection(config) == SingleMask()
    config.mask_decoder_config.dynamic_multimask_via_stability = True
    assert single_mask_selection(config) == StableOrBestMask(0.05, 0.98)


@torch.inference_mode()
def test_without_masked_tokens_the_decoder_equals_transformers() -> None:
    model = initial_tracker(3).eval()
    heads, generator = SamHeads(model), torch.Generator().manual_seed(0)
    seen, high_res_s1, high_res_s0, sparse = (
        torch.randn(shape, generator=generator)
        for shape in ((2, 128, 16, 16), (1, 32, 32, 32), (1, 16, 64, 64), (2, 3, 128))
    )
    ours = heads.decode(to_tokens(seen), (high_res_s1, high_res_s0), sparse, None, slice(None))
    nothing = torch.zeros_like(seen)
    levels = [high_res_s0.expand(2, -1, -1, -1), high_res_s1.expand(2, -1, -1, -1)]
    masks, ious, _, score = model.mask_decoder(seen, heads.positions, sparse[:, None], nothing, True, levels)
    torch.testing.assert_close(ours.masks[:, 1:], masks[:, 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.ious[:, 1:], ious[:, 0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.object_score, score.flatten(), atol=1e-4, rtol=1e-4)
