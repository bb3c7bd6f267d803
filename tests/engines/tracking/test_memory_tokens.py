"""The tokens of a memory, of SAM-2 and of EdgeTAM."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from transformers import EdgeTamVideoModel

from engines.tracking.memory_tokens import MapTokens, PerceiverTokens, memory_to_tokens, token_layout
from lab.training.initial_weights import initial_tracker
from tests.edgetam import edge_model

GLOBAL, LOCAL, SIDE, CHANNELS = 12, 16, 8, 64


@pytest.fixture(scope="module")
def model() -> EdgeTamVideoModel:
    return edge_model()


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def maps(count: int) -> torch.Tensor:
    return torch.randn(count, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


def test_sam2_has_one_token_per_place_row_by_row() -> None:
    to_tokens = memory_to_tokens(initial_tracker(1))
    assert isinstance(to_tokens, MapTokens)
    memory = maps(2)
    assert torch.equal(to_tokens(memory)[1, SIDE + 3], memory[1, :, 1, 3])
    layout = token_layout(initial_tracker(1))
    assert layout.position.shape == (256, CHANNELS) and layout.cos.shape == layout.sin.shape == (256, 64)


def test_perceiver_tokens_of_a_batch_equal_transformers_one_by_one(model: EdgeTamVideoModel) -> None:
    to_tokens, memory = memory_to_tokens(model), maps(3)
    assert isinstance(to_tokens, PerceiverTokens)
    together = to_tokens(memory)
    assert together.shape == (3, GLOBAL + LOCAL, CHANNELS)
    position = model.memory_encoder.position_encoding(memory[:1].shape, "cpu", torch.float32)
    for row in range(3):
        theirs, places = model.spatial_perceiver(memory[row : row + 1], position)
        torch.testing.assert_close(together[row : row + 1], theirs, atol=1e-5, rtol=0)
        torch.testing.assert_close(token_layout(model).position, places[0], atol=1e-6, rtol=0)


def test_local_latents_attend_to_their_window_and_global_latents_to_the_whole_map(
    model: EdgeTamVideoModel,
) -> None:
    to_tokens, memory = memory_to_tokens(model), maps(1)
    before = to_tokens(memory)
    memory[:, :, 2:4, 6:8] *= -1  # the window in the second row of windows, the last in it
    changed = (to_tokens(memory) - before).abs().amax(dim=(0, 2)) > 1e-6
    assert changed[:GLOBAL].all()
    assert changed[GLOBAL:].nonzero().flatten().tolist() == [7]


def test_only_local_latents_have_a_position(model: EdgeTamVideoModel) -> None:
    layout = token_layout(model)
    assert not layout.position[:GLOBAL].any() and not layout.sin[:GLOBAL].any()
    assert (layout.cos[:GLOBAL] == 1).all()
    own = torch.cat([layout.position, layout.cos, layout.sin], dim=1)[GLOBAL:]
    assert len(own.unique(dim=0)) == LOCAL
