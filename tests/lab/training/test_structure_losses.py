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
    WARMUP_SHARE,
    MaskPredictions,
    StructureConfig,
    boundary_loss,
    contrast_loss,
    edges,
    masked_mean,
    same_object,
    structure_loss,
    warmup_scale,
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


def predictions() -> MaskPredictions:
    truth = torch.stack([square(2, 2), square(7, 8), square(2, 8)])
    return MaskPredictions(
        features=torch.randn(3, 8, 4, 4, requires_grad=True),
        prompts=torch.randn(3, 8, requires_grad=True),
        logits=torch.randn(3, 3, 16, 16, requires_grad=True),
        quality=torch.rand(3, 3),
        truth=truth,
    )


# --- contrast -------------------------------------------------------------------------------------


def test_regions_similar_to_their_own_phrases_cost_least() -> None:
    regions = torch.eye(4, 8)
    own = contrast_loss(regions, regions, DIFFERENT)
    others = contrast_loss(regions, regions.roll(1, dims=0), DIFFERENT)
    assert 0 < own < 0.02
    assert others - own == pytest.approx(2 / CONTRAST_TEMPERATURE)


def test_equal_regions_cost_as_much_as_guessing() -> None:
    loss = contrast_loss(torch.ones(4, 8), torch.ones(4, 8), DIFFERENT)
    torch.testing.assert_close(loss, 2 * torch.tensor(4.0).log())


def test_a_single_object_has_no_negatives() -> None:
    assert contrast_loss(torch.randn(1, 8), torch.randn(1, 8), DIFFERENT[:1, :1]) == 0


def test_the_loss_is_symmetric() -> None:
    regions, phrases = torch.randn(4, 8), torch.randn(4, 8)
    forward, backward = (contrast_loss(*pair, DIFFERENT) for pair in ((regions, phrases), (phrases, regions)))
    torch.testing.assert_close(forward, backward)


def test_norms_do_not_matter() -> None:
    regions, phrases = torch.randn(4, 8), torch.randn(4, 8)
    scaled = contrast_loss(3 * regions, 0.1 * phrases, DIFFERENT)
    torch.testing.assert_close(scaled, contrast_loss(regions, phrases, DIFFERENT))


def test_two_phrases_of_one_object_are_no_negatives() -> None:
    regions = torch.eye(4, 8)[[0, 0, 1, 2]]
    same = same_object(torch.stack([square(0, 0), square(0, 0), square(9, 9), square(0, 9)]))
    assert contrast_loss(regions, regions, same) < 0.02
    assert contrast_loss(regions, regions, DIFFERENT) > 0.5


def test_equal_masks_are_of_the_same_object() -> None:
    masks = torch.stack([square(0, 0), square(0, 1), square(0, 0)])
    assert same_object(masks).tolist() == [[True, False, True], [False, True, False], [True, False, True]]


def test_a_regions_features_are_the_mean_of_its_cells() -> None:
    features = torch.randn(1, 8, 4, 4)
    mask = torch.zeros(1, 16, 16)
    mask[:, 4:12, 8:12] = 1.0
    torch.testing.assert_close(masked_mean(features, mask), features[:, :, 1:3, 2].mean(dim=2))
    torch.testing.assert_close(masked_mean(features, 0.2 * mask), masked_mean(features, mask))


def test_cells_are_weighted_by_the_mask() -> None:
    features = torch.zeros(1, 1, 1, 2)
    features[..., 0] = 1.0
    assert float(masked_mean(features, torch.tensor([[[0.9, 0.3]]]))) == pytest.approx(0.75)


def test_an_empty_mask_has_features_of_0() -> None:
    assert not masked_mean(torch.randn(2, 8, 4, 4), torch.zeros(2, 16, 16)).any()


# --- boundary -------------------------------------------------------------------------------------


def test_equal_masks_have_no_boundary_loss() -> None:
    assert boundary_loss(square(3, 3), square(3, 3)) == 0


def test_a_shifted_blurred_or_missing_boundary_costs() -> None:
    truth = square(4, 4)
    blurred = torch.nn.functional.avg_pool2d(truth[None], 5, 1, 2)[0]
    for wrong in (square(4, 6), square(5, 5, side=4), blurred, torch.zeros(16, 16), 1 - square(3, 3)):
        assert boundary_loss(wrong, truth) > 0.05


def test_edges_are_1_along_sharp_edges_and_0_elsewhere() -> None:
    half = torch.zeros(16, 16)
    half[:, 8:] = 1.0
    magnitude = edges(half)
    torch.testing.assert_close(magnitude[:, 7:9], torch.ones(16, 2))
    assert magnitude[:, :7].max() < 1e-3
    assert magnitude[:, 9:].max() < 1e-3
    torch.testing.assert_close(edges(half.T), magnitude.T)


def test_a_weak_edge_at_the_right_place_costs_little() -> None:
    """Edges are scaled by their maximum: contrast of the mask is left to dice and BCE."""
    assert boundary_loss(0.3 + 0.4 * square(4, 4), square(4, 4)) < 1e-3


def test_every_sample_is_scaled_by_its_own_maximum() -> None:
    found, true = torch.stack([0.3 * square(2, 3), square(5, 5)]), torch.stack([square(2, 2), square(4, 4)])
    each = torch.stack([boundary_loss(f, t) for f, t in zip(found, true, strict=True)])
    torch.testing.assert_close(boundary_loss(found, true), each.mean())
    torch.testing.assert_close(boundary_loss(found.flip(0), true.flip(0)), each.mean())


def test_noise_is_not_scaled_up_to_a_boundary() -> None:
    noise = 0.5 + 1e-4 * torch.randn(16, 16)
    flat = boundary_loss(torch.full((16, 16), 0.5), square(4, 4))
    torch.testing.assert_close(boundary_loss(noise, square(4, 4)), flat, atol=0.01, rtol=0)


def test_a_constant_mask_has_a_finite_gradient() -> None:
    logits = torch.zeros(16, 16, requires_grad=True)
    boundary_loss(logits.sigmoid(), square(4, 4)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_boundary_loss_alone_fits_a_mask() -> None:
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


def test_without_terms_the_loss_is_0() -> None:
    loss, metrics = structure_loss(StructureConfig(), predictions())
    assert (float(loss), metrics) == (0.0, {})


def test_terms_are_weighted_and_summed() -> None:
    predicted = predictions()
    contrast, contrast_metrics = structure_loss(StructureConfig(contrast_weight=CONTRAST_WEIGHT), predicted)
    boundary, boundary_metrics = structure_loss(StructureConfig(boundary_weight=BOUNDARY_WEIGHT), predicted)
    both, metrics = structure_loss(StructureConfig(CONTRAST_WEIGHT, BOUNDARY_WEIGHT), predicted)
    assert float(contrast.detach()) == pytest.approx(0.1 * contrast_metrics["contrast"])
    assert float(boundary.detach()) == pytest.approx(0.05 * boundary_metrics["boundary"])
    torch.testing.assert_close(both, contrast + boundary)
    assert metrics == {**contrast_metrics, **boundary_metrics}


def test_prompts_features_and_masks_get_gradients() -> None:
    predicted = predictions()
    structure_loss(StructureConfig(CONTRAST_WEIGHT, BOUNDARY_WEIGHT), predicted)[0].backward()
    for input_ in (predicted.features, predicted.prompts, predicted.logits):
        assert input_.grad is not None
        assert input_.grad.isfinite().all()
        assert input_.grad.flatten(1).any(dim=1).all()


def test_the_region_is_the_mask_of_highest_predicted_iou() -> None:
    predicted = replace(predictions(), quality=torch.tensor([[0.1, 0.9, 0.2]] * 3))
    structure_loss(StructureConfig(contrast_weight=1.0), predicted)[0].backward()
    assert predicted.logits.grad is not None
    assert predicted.logits.grad.flatten(2).any(dim=2).tolist() == [[False, True, False]] * 3


def test_a_batch_without_predictions_has_a_loss_of_0() -> None:
    predicted = predictions()
    none = MaskPredictions(
        *(
            part[:0]
            for part in (
                predicted.features,
                predicted.prompts,
                predicted.logits,
                predicted.quality,
                predicted.truth,
            )
        )
    )
    assert float(structure_loss(StructureConfig(CONTRAST_WEIGHT, BOUNDARY_WEIGHT), none)[0]) == 0.0


def test_mixed_precision_changes_little() -> None:
    predicted = predictions()
    config = StructureConfig(CONTRAST_WEIGHT, BOUNDARY_WEIGHT)
    exact, _ = structure_loss(config, predicted)
    rounded = replace(predicted, features=predicted.features.bfloat16(), logits=predicted.logits.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, _ = structure_loss(config, rounded)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, exact, atol=2e-3, rtol=1e-2)


def test_warmup_takes_5_percent_of_the_budget() -> None:
    assert warmup_scale(0.0) == 0.0
    assert warmup_scale(WARMUP_SHARE / 2) == pytest.approx(0.5)
    assert warmup_scale(WARMUP_SHARE) == warmup_scale(0.5) == warmup_scale(1.0) == 1.0
    assert WARMUP_SHARE == 0.05
