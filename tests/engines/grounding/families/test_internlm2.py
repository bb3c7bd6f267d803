"""Laws of InternLM2 as a Llama. test_base.py compares its logits with the published code."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaModel

from engines.grounding.families.internlm2 import Grouped, llama_config, published_tensor
from tests import published, sa2va_reference

TEXT = published.internvl("InternLM2ForCausalLM")[0]["llm_config"]


def test_each_group_holds_its_queries_then_its_key_then_its_value() -> None:
    """Rows are numbered group, head within the group, row within the head."""
    fused = torch.arange(2 * 4 * 3).view(24, 1)
    q, k, v = (Grouped(groups=2, queries=2).part(fused, index)[:, 0].tolist() for index in range(3))
    assert q == [*range(6), *range(12, 18)]
    assert k == [6, 7, 8, 18, 19, 20]
    assert v == [9, 10, 11, 21, 22, 23]


def test_parts_join_to_the_fused_tensor() -> None:
    fused, grouped = torch.randn(2 * 5 * 4, 7), Grouped(groups=2, queries=3)
    assert torch.equal(grouped.join([grouped.part(fused, index) for index in range(3)]), fused)


def test_names_are_those_of_internlm2() -> None:
    ours, theirs = "model.language_model.", "language_model.model."
    names = {
        f"{ours}embed_tokens.weight": f"{theirs}tok_embeddings.weight",
        f"{ours}layers.1.self_attn.k_proj.weight": f"{theirs}layers.1.attention.wqkv.weight",
        f"{ours}layers.1.self_attn.o_proj.weight": f"{theirs}layers.1.attention.wo.weight",
        f"{ours}layers.1.mlp.gate_proj.weight": f"{theirs}layers.1.feed_forward.w1.weight",
        f"{ours}layers.1.mlp.down_proj.weight": f"{theirs}layers.1.feed_forward.w2.weight",
        f"{ours}layers.1.mlp.up_proj.weight": f"{theirs}layers.1.feed_forward.w3.weight",
        f"{ours}layers.1.post_attention_layernorm.weight": f"{theirs}layers.1.ffn_norm.weight",
        f"{ours}norm.weight": f"{theirs}norm.weight",
        "lm_head.weight": "language_model.output.weight",
    }
    assert {name: published_tensor(name, TEXT).name for name in names} == names


def test_models_without_grouped_query_attention_are_supported() -> None:
    text = {key: value for key, value in TEXT.items() if key != "num_key_value_heads"}
    name = "model.language_model.layers.0.self_attn.q_proj.weight"
    assert published_tensor(name, text).fusion == Grouped(groups=4, queries=1)


def test_dynamic_scaling_changes_theta_only_beyond_the_trained_length() -> None:
    """NTK-aware: theta grows by (factor · length / trained - (factor - 1)) to the d / (d - 2)."""
    config = LlamaConfig(**llama_config(TEXT | {"max_position_embeddings": 8}))
    rotary = LlamaModel(config).rotary_emb
    x, width, theta = torch.zeros(1, 1), 12, TEXT["rope_theta"]
    for size, base in ((8, theta), (20, theta * (2.0 * 20 / 8 - 1.0) ** (width / (width - 2)))):
        cos, _ = rotary(x, torch.arange(size)[None])
        angle = torch.arange(size)[:, None] * sa2va_reference.frequencies(width, base)
        torch.testing.assert_close(cos[0, :, : width // 2], angle.cos(), atol=1e-5, rtol=0)
