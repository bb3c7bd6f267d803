"""Which of the decoder's masks is taken, by SAM-2's rules; and the decoder against transformers' own."""

from __future__ import annotations

import torch

from engines.tracking.mask_decoder import (
    BestOfThree,
    Candidates,
    Heads,
    Single,
    StableOrBest,
    without_doubt,
)
from engines.tracking.memory_attention import places_of
from lab.training.nano_config import tracker_config
from lab.training.tracker_recipe import fresh_tracker


def candidates(single: torch.Tensor) -> Candidates:
    """One object: the single mask given, readings of 1, 2 and 3 everywhere, of which the second is best."""
    others = torch.tensor([1.0, 2.0, 3.0])[:, None, None].expand(3, 4, 4)
    masks = torch.cat([single[None], others])[None]
    tokens = torch.arange(4.0)[None, :, None].expand(1, 4, 2)
    return Candidates(masks, torch.tensor([[0.5, 0.1, 0.9, 0.2]]), tokens, torch.ones(1))


def wanted(given: Candidates, places: slice) -> Candidates:
    return Candidates(given.masks[:, places], given.ious[:, places], given.tokens[:, places], given.score)


def test_the_single_mask_is_the_first() -> None:
    chosen = Single()(candidates(torch.full((4, 4), 7.0)))
    assert (chosen.mask == 7).all() and chosen.iou == 0.5 and (chosen.token == 0).all()


def test_the_best_reading_is_the_one_with_the_highest_iou_and_brings_its_token() -> None:
    chosen = BestOfThree()(wanted(candidates(torch.zeros(4, 4)), BestOfThree.wanted))
    assert (chosen.mask == 2).all() and chosen.iou == 0.9 and (chosen.token == 2).all()


def test_a_stable_mask_is_kept_and_an_unstable_one_gives_way_to_the_best_reading() -> None:
    rule = StableOrBest(delta=0.05, threshold=0.98)
    steady = torch.where(torch.arange(4) < 2, 1.0, -1.0).expand(4, 4)
    assert torch.equal(rule(candidates(steady)).mask[0], steady)
    shaky = steady.clone()
    shaky[0, 0] = 0.01  # above -0.05, not above 0.05: 7 of 8 pixels are sure
    chosen = rule(candidates(shaky))
    assert (chosen.mask == 2).all() and chosen.iou == 0.9
    assert (chosen.token == 0).all(), "the token is the single mask's all the same"


def test_a_mask_of_nothing_is_stable() -> None:
    nothing = torch.full((4, 4), -1.0)
    assert torch.equal(StableOrBest(0.05, 0.98)(candidates(nothing)).mask[0], nothing)


def test_the_configuration_says_what_is_done_without_doubt() -> None:
    config = tracker_config()
    assert without_doubt(config) == Single()
    config.mask_decoder_config.dynamic_multimask_via_stability = True
    assert without_doubt(config) == StableOrBest(0.05, 0.98)


@torch.inference_mode()
def test_without_hidden_tokens_it_is_transformers_decoder() -> None:
    model = fresh_tracker(3).eval()
    heads, generator = Heads(model), torch.Generator().manual_seed(0)
    seen, mid, fine, sparse = (
        torch.randn(shape, generator=generator)
        for shape in ((2, 128, 16, 16), (1, 32, 32, 32), (1, 16, 64, 64), (2, 3, 128))
    )
    ours = heads.propose(places_of(seen), (mid, fine), sparse, None, slice(None))
    nothing = torch.zeros_like(seen)
    levels = [fine.expand(2, -1, -1, -1), mid.expand(2, -1, -1, -1)]
    masks, ious, _, score = model.mask_decoder(seen, heads.positions, sparse[:, None], nothing, True, levels)
    torch.testing.assert_close(ours.masks[:, 1:], masks[:, 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.ious[:, 1:], ious[:, 0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.score, score.flatten(), atol=1e-4, rtol=1e-4)
