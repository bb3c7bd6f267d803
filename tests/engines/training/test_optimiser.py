"""Muon."""

from __future__ import annotations

import torch
from torch import nn

from engines.training.optimiser import Muon, orthogonal, split_parameters


def test_an_update_has_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 16, 16), (2, 8, 40), (2, 40, 8)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert values.min() > 0.5 and values.max() < 1.4


def test_it_finds_the_least_squares_solution() -> None:
    torch.manual_seed(0)
    layer, wanted = nn.Linear(6, 4, bias=False), torch.randn(4, 6)
    x = torch.randn(256, 6)
    muon = Muon([layer.weight], lr=0.05, decay=0.0)
    for step in range(300):
        muon.param_groups[0]["lr"] = 0.05 * (1 - step / 300)
        muon.zero_grad()
        ((layer(x) - x @ wanted.T) ** 2).mean().backward()
        muon.step()
    assert (layer.weight - wanted).abs().max() < 0.05


def test_matrices_and_the_rest_are_told_apart_and_nothing_is_left_out() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.LayerNorm(8), nn.Linear(8, 1), nn.Embedding(4, 8))
    matrices, others = split_parameters(model)
    assert [tuple(weight.shape) for weight in matrices] == [(8, 3, 3, 3)]
    assert len(matrices) + len(others) == len(list(model.parameters()))
