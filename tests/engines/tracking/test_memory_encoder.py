"""The memory encoder compared with transformers' module."""

from __future__ import annotations

import torch

from engines.tracking.memory_encoder import MemoryEncoder
from lab.training.initial_weights import initial_tracker


@torch.inference_mode()
def test_memories_equal_transformers_with_scaled_masks_and_the_no_object_embedding() -> None:
    model = initial_tracker(3).eval()
    ours, generator = MemoryEncoder(model), torch.Generator().manual_seed(0)
    for norm in (part for part in model.memory_encoder.modules() if isinstance(part, torch.nn.LayerNorm)):
        norm.weight.uniform_(0.5, 2.0, generator=generator)
        norm.bias.normal_(generator=generator)
    features = torch.randn(2, 128, 16, 16, generator=generator)
    mask = torch.rand(2, 256, 256, generator=generator)
    scaled = mask[:, None] * ours.sigmoid_scale + ours.sigmoid_bias
    expected, _ = model.memory_encoder(features, scaled)
    assert ours.no_obj_embed_spatial is not None
    absent = expected[1] + ours.no_obj_embed_spatial[0, :, None, None]
    found = ours(features, mask, torch.tensor([True, False]))
    wanted = torch.stack([expected[0], absent]).flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_gradients_reach_every_weight() -> None:
    model = initial_tracker(3)
    memory = MemoryEncoder(model)(torch.randn(1, 128, 16, 16), torch.rand(1, 256, 256), torch.tensor([True]))
    memory.square().sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.any()
        for name, parameter in model.memory_encoder.named_parameters()
        if not name.startswith("position_encoding")
    )


@torch.inference_mode()
def test_norms_are_computed_in_float32_under_autocast() -> None:
    model = initial_tracker(3).eval()
    ours, generator = MemoryEncoder(model), torch.Generator().manual_seed(0)
    features = torch.randn(1, 128, 16, 16, generator=generator)
    # A mean far above the deviation, as after a convolution with a large bias.
    for layer in model.memory_encoder.mask_downsampler.layers:
        layer.conv.bias.fill_(5.0)
    mask = torch.rand(1, 256, 256, generator=generator)
    exact = ours(features, mask, torch.tensor([True]))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = ours(features, mask, torch.tensor([True]))
        theirs, _ = model.memory_encoder(features, mask[:, None] * ours.sigmoid_scale + ours.sigmoid_bias)
    off, theirs_off = (rounded - exact).abs().max(), (theirs.flatten(2).transpose(1, 2) - exact).abs().max()
    assert off <= 1.5 * theirs_off
