"""RepViT: equal to timm's, and equal after folding."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel

from engines.tracking.repvit import RepVit, RepVitBackbone, RepVitConfig, RepVitImageEncoder, folded
from tests.edgetam import SIDE, edge_model, init_weights

TIMM = (
    ((1, 48, 16, 16), 0.37706, (0.0046, -0.334, 0.3573)),
    ((1, 96, 8, 8), 0.29694, (0.002, 0.1786, 0.2969)),
    ((1, 192, 4, 4), 0.31295, (0.5062, -0.0899, -0.1873)),
    ((1, 384, 2, 2), 0.35251, (0.2869, 0.1931, 0.3787)),
)
"""Each stage of timm 1.0.31's `repvit_m1` on the weights and the image below: shape, standard deviation, and
the first three channels at the upper left. The full outputs differed by 0.0."""


@pytest.fixture(scope="module")
def trained() -> RepVit:
    config = RepVitConfig()
    model = RepVit(config.widths, config.depths).eval()
    init_weights(model.state_dict())
    return model


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def test_m1_equals_timm_on_the_same_weights(trained: RepVit, image: torch.Tensor) -> None:
    for stage, (shape, deviation, first) in zip(trained(image), TIMM, strict=True):
        assert stage.shape == shape
        assert float(stage.std()) == pytest.approx(deviation, abs=1e-4)
        assert stage[0, :3, 0, 0].tolist() == pytest.approx(first, abs=2e-4)


def test_the_folded_backbone_computes_the_same_without_norms(trained: RepVit, image: torch.Tensor) -> None:
    inference = folded(trained)
    for stage, other in zip(inference(image), trained(image), strict=True):
        torch.testing.assert_close(stage, other, atol=1e-3, rtol=1e-4)
    kinds = [type(module) for module in inference.modules()]
    assert nn.BatchNorm2d not in kinds and kinds.count(nn.Conv2d) < sum(
        isinstance(module, nn.Conv2d) for module in trained.modules()
    )
    assert any(isinstance(module, nn.BatchNorm2d) for module in trained.modules()), (
        "the original is unchanged"
    )


def test_transformers_creates_the_backbone_from_its_model_type() -> None:
    config = AutoConfig.for_model("saccade_repvit", widths=[16, 24, 32, 48], depths=[1, 1, 1, 1])
    model = AutoModel.from_config(config)
    assert isinstance(model, RepVitBackbone)
    sides = [stage.shape[-1] for stage in model(torch.zeros(1, 3, 64, 64)).last_hidden_state]
    assert sides == [16, 8, 4, 2]


def test_the_image_encoder_uses_the_folded_backbone() -> None:
    encode = RepVitImageEncoder(edge_model())
    assert not [module for module in encode.modules() if isinstance(module, nn.BatchNorm2d)]
    features, high_res_s1, high_res_s0 = encode(torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8))
    assert [level.shape[-1] for level in (features, high_res_s1, high_res_s0)] == [
        SIDE // 16,
        SIDE // 8,
        SIDE // 4,
    ]
