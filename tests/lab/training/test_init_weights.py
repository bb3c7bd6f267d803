"""Laws of the first weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lab.training.init_weights import waken


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(400, 300), (64, 400)),
        (nn.Conv2d(64, 96, 3), (4, 64, 8, 8)),
        (nn.ConvTranspose2d(256, 64, 2, 2), (4, 256, 8, 8)),
    ],
)
def test_a_layer_is_about_as_loud_as_what_it_hears(layer: nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    waken(layer)
    with torch.no_grad():
        assert float(layer(torch.randn(shape)).std()) == pytest.approx(1.0, abs=0.15)


def test_words_begin_half_as_loud_and_norms_as_they_were() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(100, 64), nn.LayerNorm(64))
    waken(model)
    assert float(model[0].weight.detach().std()) == pytest.approx(0.5, abs=0.05)
    assert bool((model[1].weight == 1).all())
