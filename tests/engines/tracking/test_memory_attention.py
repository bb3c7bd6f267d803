"""Memory attention over fixed slots compared with transformers', on random weights of nano's shape."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from engines.tracking import memory_attention
from engines.tracking.hiera import HieraImageEncoder
from engines.tracking.memory_attention import MemoryAttention, attend, attend_in_parts, multi_head_attention
from engines.tracking.shape import EMPTY_SLOT
from lab.training.initial_weights import initial_tracker
from lab.training.world.scenes import draw_clip
from tests.fresh_sam import random_bank


@torch.inference_mode()
def test_a_masked_slot_equals_no_slot() -> None:
    """Fixed slots with an attention bias, compared with transformers' attention over the filled slots."""
    model = initial_tracker(3).eval()
    levels = HieraImageEncoder(model)(torch.from_numpy(draw_clip(5, frames=1).frames))
    step = MemoryAttention(model)
    memory, _, _, obj_ptr, obj_ptr_age, _ = bank = random_bank(1)
    ours = step(levels[0], *bank)
    table = model.memory_temporal_positional_encoding[:, 0]
    spatial = step.memory_position[0]
    filled = torch.cat([memory[0, 0], memory[0, 1], memory[0, 2], obj_ptr[0, :3].reshape(-1, 64)])
    time, _ = model._process_object_pointers(
        obj_ptr_age[0, :3].tolist(), list(obj_ptr[:, :3].unbind(1)), 7, 1, 128, torch.device("cpu")
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
def test_attention_in_parts_equals_attention_to_all_keys(scale: float) -> None:
    """For scores of about 0.01, 1 and 25."""
    torch.manual_seed(0)
    query, keys = scale * torch.randn(2, 5, 16), [scale * torch.randn(2, count, 16) for count in (7, 3, 8)]
    values = [torch.randn(2, key.shape[1], 4) for key in keys]
    biases = [torch.zeros(2, 1, key.shape[1]) for key in keys]
    biases[1][0] = EMPTY_SLOT
    whole = attend(query, torch.cat(keys, 1), torch.cat(values, 1), torch.cat(biases, 2))
    torch.testing.assert_close(attend_in_parts(query, keys, values, biases), whole, atol=1e-5, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("score", [-35.0, 0.0, 40.0, 110.0])
def test_attention_in_parts_is_exact_at_every_level_of_scores(score: float) -> None:
    torch.manual_seed(0)
    query = torch.ones(1, 1, 16)
    keys = [score / 4 + 0.1 * torch.randn(1, count, 16) for count in (7, 300)]
    values = [torch.randn(1, key.shape[1], 4) for key in keys]
    biases = [torch.zeros(1, 1, key.shape[1]) for key in keys]
    whole = attend(query, torch.cat(keys, 1), torch.cat(values, 1), torch.cat(biases, 2))
    torch.testing.assert_close(attend_in_parts(query, keys, values, biases), whole, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_more_keys_than_one_softmax_takes_are_attended_to_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = initial_tracker(3).eval()
    levels = HieraImageEncoder(model)(torch.from_numpy(draw_clip(5, frames=1).frames))
    step, bank = MemoryAttention(model), random_bank(2)
    whole = step(levels[0], *bank)
    monkeypatch.setattr(memory_attention, "MAX_KEYS_PER_SOFTMAX", 0)
    in_parts = step(levels[0], *bank)
    assert not torch.equal(in_parts, whole)  # rounded differently: another path was taken
    torch.testing.assert_close(in_parts, whole, atol=1e-5, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("heads", [1, 4])
def test_multi_head_attention_equals_torchs_with_a_bias_per_object(heads: int) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, places, 32, generator=generator) for places in (5, 7, 7))
    bias = torch.zeros(2, 1, 7)
    bias[1, 0, 3:] = EMPTY_SLOT
    split = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    wanted = functional.scaled_dot_product_attention(*split, attn_mask=bias[:, None]).transpose(1, 2)
    torch.testing.assert_close(multi_head_attention(query, key, value, bias, heads), wanted.flatten(2))
