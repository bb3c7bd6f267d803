"""The form of a memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from transformers import EdgeTamVideoModel

from engines.tracking.memory_layout import Perceiver, PerPlace, form_of, layout_of
from lab.training.tracker_recipe import fresh_tracker
from tests.edgetam import edge_model

EVERYWHERE, LOCAL, SIDE, CHANNELS = 12, 16, 8, 64


@pytest.fixture(scope="module")
def model() -> EdgeTamVideoModel:
    return edge_model()


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def maps(count: int) -> torch.Tensor:
    return torch.randn(count, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


def test_sam2_remembers_every_place_row_by_row() -> None:
    form = form_of(fresh_tracker(1))
    assert isinstance(form, PerPlace)
    memory = maps(2)
    assert torch.equal(form(memory)[1, SIDE + 3], memory[1, :, 1, 3])
    layout = layout_of(fresh_tracker(1))
    assert layout.position.shape == (256, CHANNELS) and layout.cos.shape == layout.sin.shape == (256, 64)


def test_many_memories_compressed_at_once_are_transformers_one_by_one(model: EdgeTamVideoModel) -> None:
    form, memory = form_of(model), maps(3)
    assert isinstance(form, Perceiver)
    together = form(memory)
    assert together.shape == (3, EVERYWHERE + LOCAL, CHANNELS)
    position = model.memory_encoder.position_encoding(memory[:1].shape, "cpu", torch.float32)
    for row in range(3):
        theirs, places = model.spatial_perceiver(memory[row : row + 1], position)
        torch.testing.assert_close(together[row : row + 1], theirs, atol=1e-5, rtol=0)
        torch.testing.assert_close(layout_of(model).position, places[0], atol=1e-6, rtol=0)


def test_a_local_latent_reads_its_own_window_and_a_global_one_everything(model: EdgeTamVideoModel) -> None:
    form, memory = form_of(model), maps(1)
    before = form(memory)
    memory[:, :, 2:4, 6:8] *= -1  # the window in the second row of windows, the last in it
    changed = (form(memory) - before).abs().amax(dim=(0, 2)) > 1e-6
    assert changed[:EVERYWHERE].all()
    assert changed[EVERYWHERE:].nonzero().flatten().tolist() == [7]


def test_only_local_latents_are_somewhere(model: EdgeTamVideoModel) -> None:
    layout = layout_of(model)
    assert not layout.position[:EVERYWHERE].any() and not layout.sin[:EVERYWHERE].any()
    assert (layout.cos[:EVERYWHERE] == 1).all()
    own = torch.cat([layout.position, layout.cos, layout.sin], dim=1)[EVERYWHERE:]
    assert len(own.unique(dim=0)) == LOCAL
