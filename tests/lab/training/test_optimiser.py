"""Laws of Muon, and of optimisers that step together."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lab.training.optimiser import MAX_NORM, Muon, Optimisers, orthogonal, split_parameters


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Products of small matrices wait for each other's threads on a busy machine: 70 s instead of 1 s."""
    torch.set_num_threads(1)


def test_an_update_has_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 16, 16), (2, 8, 40), (2, 40, 8)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert values.min() > 0.5 and values.max() < 1.4


def test_muon_finds_the_least_squares_solution() -> None:
    torch.manual_seed(0)
    layer, target = nn.Linear(6, 4, bias=False), torch.randn(4, 6)
    x = torch.randn(256, 6)
    muon = Muon([layer.weight], lr=0.05, decay=0.0)
    for step in range(300):
        muon.param_groups[0]["lr"] = 0.05 * (1 - step / 300)
        muon.zero_grad()
        ((layer(x) - x @ target.T) ** 2).mean().backward()
        muon.step()
    assert (layer.weight - target).abs().max() < 0.05


def test_parameters_are_split_into_matrices_and_others_completely() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.LayerNorm(8), nn.Linear(8, 1), nn.Embedding(4, 8))
    matrices, others = split_parameters(model)
    assert [tuple(weight.shape) for weight in matrices] == [(8, 3, 3, 3)]
    assert len(matrices) + len(others) == len(list(model.parameters()))


def two_sgd_layers(rate: float = 1.0) -> tuple[nn.Linear, nn.Linear, Optimisers]:
    """Two layers with an optimiser each; only the gradient of the first is clipped."""
    one, other = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
    optimisers = [
        torch.optim.SGD(one.parameters(), lr=rate),
        torch.optim.SGD(other.parameters(), lr=rate / 2),
    ]
    return one, other, Optimisers(optimisers, clipped=one.parameters())


def moved(layer: nn.Linear, before: torch.Tensor) -> torch.Tensor:
    return before - layer.weight.detach()


def test_a_step_scales_each_peak_learning_rate_and_clears_the_gradients() -> None:
    one, other, optimisers = two_sgd_layers()
    for scale in (0.5, 0.25):  # of the peak, not of the last learning rate
        starts = one.weight.detach().clone(), other.weight.detach().clone()
        for layer in (one, other):
            layer.weight.grad = torch.full((1, 2), 0.1)
        optimisers.step(scale)
        torch.testing.assert_close(moved(one, starts[0]), torch.full((1, 2), 0.1 * scale))
        torch.testing.assert_close(moved(other, starts[1]), torch.full((1, 2), 0.05 * scale))
        assert one.weight.grad is None and other.weight.grad is None


def test_large_gradients_are_clipped_only_of_the_clipped_weights() -> None:
    one, other, optimisers = two_sgd_layers()
    starts = one.weight.detach().clone(), other.weight.detach().clone()
    for layer in (one, other):
        layer.weight.grad = torch.full((1, 2), 100.0)
    optimisers.step(1.0)
    assert float(moved(one, starts[0]).norm()) == pytest.approx(MAX_NORM, rel=1e-3)
    assert float(moved(other, starts[1]).norm()) > MAX_NORM


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_step_with_a_gradient_that_is_not_finite_is_skipped(value: float) -> None:
    one, other, optimisers = two_sgd_layers()
    starts = one.weight.detach().clone(), other.weight.detach().clone()
    one.weight.grad = torch.full((1, 2), value)
    other.weight.grad = torch.ones(1, 2)
    optimisers.step(1.0)
    assert torch.equal(one.weight, starts[0]) and torch.equal(other.weight, starts[1])
    assert one.weight.grad is None


def test_a_state_contains_momentum_but_no_peak_learning_rates() -> None:
    weight = nn.Parameter(torch.ones(2))
    first = Optimisers([torch.optim.SGD([weight], lr=1.0, momentum=0.5)], clipped=[weight])
    weight.grad = torch.full((2,), 0.1)
    first.step(1.0)
    second = Optimisers([torch.optim.SGD([weight], lr=10.0, momentum=0.5)], clipped=[weight])
    second.load_state_dict(first.state_dict())
    before = weight.detach().clone()
    weight.grad = torch.zeros(2)
    second.step(1.0)
    torch.testing.assert_close(before - weight.detach(), torch.full((2,), 10.0 * 0.5 * 0.1))


def test_a_state_of_other_optimisers_is_an_error() -> None:
    _, _, two = two_sgd_layers()
    weight = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError):
        Optimisers([torch.optim.SGD([weight], lr=1.0)], clipped=[weight]).load_state_dict(two.state_dict())
