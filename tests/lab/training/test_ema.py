"""The running mean of the weights."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from lab.training.ema import AVERAGING, blend


def test_a_mean_comes_nearer_to_weights_that_stay_by_the_same_share_each_step() -> None:
    average, model = nn.Linear(2, 2), nn.Linear(2, 2)
    start = (average.weight - model.weight).detach()
    for step in range(1, 4):
        blend(average, model)
        left = (1 - AVERAGING) ** step
        torch.testing.assert_close(average.weight - model.weight, left * start)


def test_the_model_is_left_as_it_is_and_no_gradient_is_kept() -> None:
    average, model = nn.Linear(2, 2), nn.Linear(2, 2)
    before = deepcopy(model.state_dict())
    blend(average, model)
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    assert average.weight.grad_fn is None
