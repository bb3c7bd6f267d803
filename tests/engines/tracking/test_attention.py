"""Memory attention over fixed slots against transformers' own, on random weights of nano's shape."""

from __future__ import annotations

import torch

from engines.tracking.attention import MemoryAttention
from engines.tracking.hiera import ImageEncoder
from engines.training.tracker_recipe import fresh_tracker
from engines.training.world.scenes import draw_clip
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
