"""Memory attention over fixed slots against transformers' own, on random weights of nano's shape."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from engines.tracking import memory_attention
from engines.tracking.hiera import ImageEncoder
from engines.tracking.memory_attention import MemoryAttention, attend, attend_by_head, attend_to_all
from engines.tracking.shape import EMPTY_SLOT
from lab.training.tracker_recipe import fresh_tracker
from lab.training.world.scenes import draw_clip
from tests.fresh_sam import random_bank


@torch.inference_mode()
def test_a_hidden_slot_equals_no_slot() -> None:
    """Fixed slots with a key bias against transformers' own attention over the filled ones only."""
    model = fresh_tracker(3).eval()
    levels = ImageEncoder(model)(torch.from_numpy(draw_clip(5, frames=1).frames))
    step = MemoryAttention(model)
    memory, _, _, pointer, pointer_age, _ = bank = random_bank(1)
    ours = step(levels[0], *bank)
    table = model.memory_temporal_positional_encoding[:, 0]
    spatial = step.memory_position[0]
    filled = torch.cat([memory[0, 0], memory[0, 1], memory[0, 2], pointer[0, :3].reshape(-1, 64)])
    time, _ = model._process_object_pointers(
        pointer_age[0, :3].tolist(), list(pointer[:, :3].unbind(1)), 7, 1, 128, torch.device("cpu")
    )[::-1]
    places = torch.cat([spatial + table[-1], spatial + table[-1], spatial + table[0], time[:, 0]])
    theirs = model.memory_attention(
        current_vision_features=levels[0].flatten(2).permute(2, 0, 1),
        memory=filled[:, None],
        current_vision_position_embeddings=step.position.permute(1, 0, 2),
        memory_posision_embeddings=places[:, None],
        num_object_pointer_tokens=6,
    )
    torch.testing.assert_close(ours[0], theirs.squeeze(1)[0], atol=1e-5, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_parts_are_read_as_if_they_were_one(scale: float) -> None:
    """Whatever share each has: of scores of about 0.01, 1 and 25."""
    torch.manual_seed(0)
    query, keys = scale * torch.randn(2, 5, 16), [scale * torch.randn(2, count, 16) for count in (7, 3, 8)]
    values = [torch.randn(2, key.shape[1], 4) for key in keys]
    biases = [torch.zeros(2, 1, key.shape[1]) for key in keys]
    biases[1][0] = EMPTY_SLOT
    whole = attend(query, torch.cat(keys, 1), torch.cat(values, 1), torch.cat(biases, 2))
    torch.testing.assert_close(attend_to_all(query, keys, values, biases), whole, atol=1e-5, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("score", [-35.0, 0.0, 40.0, 110.0])
def test_parts_are_read_alike_wherever_their_scores_lie(score: float) -> None:
    torch.manual_seed(0)
    query = torch.ones(1, 1, 16)
    keys = [score / 4 + 0.1 * torch.randn(1, count, 16) for count in (7, 300)]
    values = [torch.randn(1, key.shape[1], 4) for key in keys]
    biases = [torch.zeros(1, 1, key.shape[1]) for key in keys]
    whole = attend(query, torch.cat(keys, 1), torch.cat(values, 1), torch.cat(biases, 2))
    torch.testing.assert_close(attend_to_all(query, keys, values, biases), whole, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_memories_too_large_to_be_read_at_once_are_read_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fresh_tracker(3).eval()
    levels = ImageEncoder(model)(torch.from_numpy(draw_clip(5, frames=1).frames))
    step, bank = MemoryAttention(model), random_bank(2)
    at_once = step(levels[0], *bank)
    monkeypatch.setattr(memory_attention, "MOST_AT_ONCE", 0)
    apart = step(levels[0], *bank)
    assert not torch.equal(apart, at_once)  # rounded otherwise: they were read another way
    torch.testing.assert_close(apart, at_once, atol=1e-5, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("heads", [1, 4])
def test_heads_read_each_in_its_channels_and_all_with_their_object_s_bias(heads: int) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, places, 32, generator=generator) for places in (5, 7, 7))
    bias = torch.zeros(2, 1, 7)
    bias[1, 0, 3:] = EMPTY_SLOT
    apart = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    wanted = functional.scaled_dot_product_attention(*apart, attn_mask=bias[:, None]).transpose(1, 2)
    torch.testing.assert_close(attend_by_head(query, key, value, bias, heads), wanted.flatten(2))
