"""RepViT: timm's numbers, and the same numbers from the folded one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel

from engines.tracking.repvit import EdgeEncoder, RepVit, RepVitBackbone, RepVitConfig, folded
from tests.edgetam import SIDE, edge_model, enliven

TIMM = (
    ((1, 48, 16, 16), 0.37706, (0.0046, -0.334, 0.3573)),
    ((1, 96, 8, 8), 0.29694, (0.002, 0.1786, 0.2969)),
    ((1, 192, 4, 4), 0.31295, (0.5062, -0.0899, -0.1873)),
    ((1, 384, 2, 2), 0.35251, (0.2869, 0.1931, 0.3787)),
)
"""Each stage of timm 1.0.31's `repvit_m1` on the weights and the picture below: shape, deviation, and the
first three channels at the upper left. In full the two differed by 0.0."""


@pytest.fixture(scope="module")
def trained() -> RepVit:
    config = RepVitConfig()
    model = RepVit(config.widths, config.depths).eval()
    enliven(model.state_dict())
    return model


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def test_m1_gives_what_timm_gives_on_the_same_weights(trained: RepVit, picture: torch.Tensor) -> None:
    for stage, (shape, deviation, first) in zip(trained(picture), TIMM, strict=True):
        assert stage.shape == shape
        assert float(stage.std()) == pytest.approx(deviation, abs=1e-4)
        assert stage[0, :3, 0, 0].tolist() == pytest.approx(first, abs=2e-4)


def test_the_folded_one_computes_the_same_without_a_norm(trained: RepVit, picture: torch.Tensor) -> None:
    light = folded(trained)
    for stage, other in zip(light(picture), trained(picture), strict=True):
        torch.testing.assert_close(stage, other, atol=1e-3, rtol=1e-4)
    kinds = [type(module) for module in light.modules()]
    assert nn.BatchNorm2d not in kinds and kinds.count(nn.Conv2d) < sum(
        isinstance(module, nn.Conv2d) for module in trained.modules()
    )
    assert any(isinstance(module, nn.BatchNorm2d) for module in trained.modules()), "the trained one stays"


def test_transformers_makes_it_where_a_configuration_names_it() -> None:
    config = AutoConfig.for_model("saccade_repvit", widths=[16, 24, 32, 48], depths=[1, 1, 1, 1])
    model = AutoModel.from_config(config)
    assert isinstance(model, RepVitBackbone)
    sides = [stage.shape[-1] for stage in model(torch.zeros(1, 3, 64, 64)).last_hidden_state]
    assert sides == [16, 8, 4, 2]


def test_the_encoder_runs_the_folded_one() -> None:
    encode = EdgeEncoder(edge_model())
    assert not [module for module in encode.modules() if isinstance(module, nn.BatchNorm2d)]
    features, mid, fine = encode(torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8))
    assert [level.shape[-1] for level in (features, mid, fine)] == [SIDE // 16, SIDE // 8, SIDE // 4]
