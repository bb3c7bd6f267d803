"""Laws of the structure-aware losses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lab.training.structure_losses import (
    BOUNDARY_WEIGHT,
    CONTRAST_TEMPERATURE,
    CONTRAST_WEIGHT,
    WARM_SHARE,
    Drawn,
    Structure,
    alike,
    boundary_loss,
    contrast_loss,
    outlines,
    pooled,
    structure_loss,
    warmth,
)

DIFFERENT = torch.eye(4, dtype=torch.bool)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(3)


def square(top: int, left: int, side: int = 6) -> Tensor:
    mask = torch.zeros(16, 16)
    mask[top : top + side, left : left + side] = 1.0
    return mask


def drawn() -> Drawn:
    truth = torch.stack([square(2, 2), square(7, 8), square(2, 8)])
    return Drawn(
        features=torch.randn(3, 8, 4, 4, requires_grad=True),
        prompts=torch.randn(3, 8, requires_grad=True),
        logits=torch.randn(3, 3, 16, 16, requires_grad=True),
        quality=torch.rand(3, 3),
        truth=truth,
    )


# --- contrast -------------------------------------------------------------------------------------


def test_regions_near_their_own_sentences_lose_least() -> None:
    regions = torch.eye(4, 8)
    own = contrast_loss(regions, regions, DIFFERENT)
    anothers = contrast_loss(regions, regions.roll(1, dims=0), DIFFERENT)
    assert 0 < own < 0.02
    assert anothers - own == pytest.approx(2 / CONTRAST_TEMPERATURE)


def test_what_cannot_be_told_apart_loses_as_guessing_does() -> None:
    loss = contrast_loss(torch.ones(4, 8), torch.ones(4, 8), DIFFERENT)
    torch.testing.assert_close(loss, 2 * torch.tensor(4.0).log())


def test_a_single_thing_has_nothing_to_be_told_from() -> None:
    assert contrast_loss(torch.randn(1, 8), torch.randn(1, 8), DIFFERENT[:1, :1]) == 0


def test_both_directions_count() -> None:
    regions, sentences = torch.randn(4, 8), torch.randn(4, 8)
    forth, back = (contrast_loss(*pair, DIFFERENT) for pair in ((regions, sentences), (sentences, regions)))
    torch.testing.assert_close(forth, back)


def test_lengths_do_not_count() -> None:
    regions, sentences = torch.randn(4, 8), torch.randn(4, 8)
    longer = contrast_loss(3 * regions, 0.1 * sentences, DIFFERENT)
    torch.testing.assert_close(longer, contrast_loss(regions, sentences, DIFFERENT))


def test_two_ways_to_say_one_thing_are_not_held_against_each_other() -> None:
    regions = torch.eye(4, 8)[[0, 0, 1, 2]]
    one_thing = alike(torch.stack([square(0, 0), square(0, 0), square(9, 9), square(0, 9)]))
    assert contrast_loss(regions, regions, one_thing) < 0.02
    assert contrast_loss(regions, regions, DIFFERENT) > 0.5


def test_things_are_alike_that_cover_the_same_cells() -> None:
    masks = torch.stack([square(0, 0), square(0, 1), square(0, 0)])
    assert alike(masks).tolist() == [[True, False, True], [False, True, False], [True, False, True]]


def test_a_region_is_the_mean_of_its_cells() -> None:
    features = torch.randn(1, 8, 4, 4)
    mask = torch.zeros(1, 16, 16)
    mask[:, 4:12, 8:12] = 1.0
    torch.testing.assert_close(pooled(features, mask), features[:, :, 1:3, 2].mean(dim=2))
    torch.testing.assert_close(pooled(features, 0.2 * mask), pooled(features, mask))


def test_a_cell_counts_by_its_share_of_the_region() -> None:
    features = torch.zeros(1, 1, 1, 2)
    features[..., 0] = 1.0
    assert float(pooled(features, torch.tensor([[[0.9, 0.3]]]))) == pytest.approx(0.75)


def test_no_region_is_no_feature() -> None:
    assert not pooled(torch.randn(2, 8, 4, 4), torch.zeros(2, 16, 16)).any()


# --- boundary -------------------------------------------------------------------------------------


def test_a_mask_has_its_own_outline() -> None:
    assert boundary_loss(square(3, 3), square(3, 3)) == 0


def test_an_outline_that_is_off_blurred_or_missing_loses() -> None:
    truth = square(4, 4)
    blurred = torch.nn.functional.avg_pool2d(truth[None], 5, 1, 2)[0]
    for wrong in (square(4, 6), square(5, 5, side=4), blurred, torch.zeros(16, 16), 1 - square(3, 3)):
        assert boundary_loss(wrong, truth) > 0.05


def test_outlines_are_one_along_sharp_edges_and_nothing_elsewhere() -> None:
    half = torch.zeros(16, 16)
    half[:, 8:] = 1.0
    edges = outlines(half)
    torch.testing.assert_close(edges[:, 7:9], torch.ones(16, 2))
    assert edges[:, :7].max() < 1e-3
    assert edges[:, 9:].max() < 1e-3
    torch.testing.assert_close(outlines(half.T), edges.T)


def test_a_faint_outline_in_its_place_loses_little() -> None:
    """Each is scaled by its own greatest; how sure the mask is, is for dice and BCE to say."""
    assert boundary_loss(0.3 + 0.4 * square(4, 4), square(4, 4)) < 1e-3


def test_samples_do_not_scale_each_other() -> None:
    found, true = torch.stack([0.3 * square(2, 3), square(5, 5)]), torch.stack([square(2, 2), square(4, 4)])
    each = torch.stack([boundary_loss(f, t) for f, t in zip(found, true, strict=True)])
    torch.testing.assert_close(boundary_loss(found, true), each.mean())
    torch.testing.assert_close(boundary_loss(found.flip(0), true.flip(0)), each.mean())


def test_a_mask_of_noise_has_no_outline() -> None:
    noise = 0.5 + 1e-4 * torch.randn(16, 16)
    flat = boundary_loss(torch.full((16, 16), 0.5), square(4, 4))
    torch.testing.assert_close(boundary_loss(noise, square(4, 4)), flat, atol=0.01, rtol=0)


def test_a_flat_mask_has_a_slope_to_learn_from() -> None:
    logits = torch.zeros(16, 16, requires_grad=True)
    boundary_loss(logits.sigmoid(), square(4, 4)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_an_outline_is_learnt() -> None:
    logits = torch.randn(16, 16).requires_grad_()
    optimiser = torch.optim.Adam([logits], lr=0.2)
    first = float(boundary_loss(logits.sigmoid(), square(4, 4)).detach())
    for _ in range(60):
        optimiser.zero_grad()
        loss = boundary_loss(logits.sigmoid(), square(4, 4))
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.3 * first


# --- together -------------------------------------------------------------------------------------


def test_a_run_without_structure_has_no_loss_of_it() -> None:
    loss, figures = structure_loss(Structure(), drawn())
    assert (float(loss), figures) == (0.0, {})


def test_terms_are_weighted_and_added() -> None:
    things = drawn()
    contrast, told = structure_loss(Structure(contrast_weight=CONTRAST_WEIGHT), things)
    boundary, shown = structure_loss(Structure(boundary_weight=BOUNDARY_WEIGHT), things)
    both, figures = structure_loss(Structure(CONTRAST_WEIGHT, BOUNDARY_WEIGHT), things)
    assert float(contrast.detach()) == pytest.approx(0.1 * told["contrast"])
    assert float(boundary.detach()) == pytest.approx(0.05 * shown["boundary"])
    torch.testing.assert_close(both, contrast + boundary)
    assert figures == {**told, **shown}


def test_words_map_and_masks_learn() -> None:
    things = drawn()
    structure_loss(Structure(CONTRAST_WEIGHT, BOUNDARY_WEIGHT), things)[0].backward()
    for learner in (things.features, things.prompts, things.logits):
        assert learner.grad is not None
        assert learner.grad.isfinite().all()
        assert learner.grad.flatten(1).any(dim=1).all()


def test_the_region_is_that_of_the_mask_the_decoder_trusts() -> None:
    things = replace(drawn(), quality=torch.tensor([[0.1, 0.9, 0.2]] * 3))
    structure_loss(Structure(contrast_weight=1.0), things)[0].backward()
    assert things.logits.grad is not None
    assert things.logits.grad.flatten(2).any(dim=2).tolist() == [[False, True, False]] * 3


def test_a_batch_in_which_nothing_is_drawn_has_a_loss_of_nothing() -> None:
    things = drawn()
    none = Drawn(
        *(part[:0] for part in (things.features, things.prompts, things.logits, things.quality, things.truth))
    )
    assert float(structure_loss(Structure(CONTRAST_WEIGHT, BOUNDARY_WEIGHT), none)[0]) == 0.0


def test_mixed_precision_changes_little() -> None:
    things = drawn()
    order = Structure(CONTRAST_WEIGHT, BOUNDARY_WEIGHT)
    exact, _ = structure_loss(order, things)
    rounded = replace(things, features=things.features.bfloat16(), logits=things.logits.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, _ = structure_loss(order, rounded)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, exact, atol=2e-3, rtol=1e-2)


def test_the_terms_and_gamma_warm_up_over_the_first_twentieth() -> None:
    assert warmth(0.0) == 0.0
    assert warmth(WARM_SHARE / 2) == pytest.approx(0.5)
    assert warmth(WARM_SHARE) == warmth(0.5) == warmth(1.0) == 1.0
    assert WARM_SHARE == 0.05
