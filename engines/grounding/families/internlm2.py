"""InternLM2 loaded as a Llama.

The architectures are equal. InternLM2 (`modeling_internlm2.py` of internlm/internlm2_5-7b) has other tensor
names and fuses q, k and v by group: for each key-value head its query heads, then its key, then its value.
Rotary embeddings rotate halves as in Llama, so heads keep their order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from engines.grounding.families.base import TEXT_KEYS, Config, only
from engines.grounding.weight_layout import PublishedTensor

_RENAMES: Final = (
    (r"^model\.language_model\.embed_tokens\.", "language_model.model.tok_embeddings."),
    (r"^model\.language_model\.", "language_model.model."),
    (r"^lm_head\.", "language_model.output."),
    (r"\.self_attn\.o_proj\.", ".attention.wo."),
    (r"\.mlp\.gate_proj\.", ".feed_forward.w1."),
    (r"\.mlp\.down_proj\.", ".feed_forward.w2."),
    (r"\.mlp\.up_proj\.", ".feed_forward.w3."),
    (r"\.input_layernorm\.", ".attention_norm."),
    (r"\.post_attention_layernorm\.", ".ffn_norm."),
)
_QKV: Final = re.compile(r"(.*)\.self_attn\.([qkv])_proj\.(weight|bias)")


@dataclass(frozen=True)
class Grouped:
    """q, k and v of one attention fused by group: published as (groups, queries + 2, head width)."""

    groups: int
    queries: int
    "Query heads per group."

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Fuse q, k and v into wqkv."""
        each = zip(parts, self._counts, strict=True)
        return torch.cat([self._heads(part, count) for part, count in each], dim=1).flatten(0, 2)

    def part(self, whole: Tensor, index: int) -> Tensor:
        """Return q, k or v out of wqkv."""
        heads = torch.split(self._heads(whole, self.queries + 2), self._counts, dim=1)
        return heads[index].flatten(0, 2)

    def _heads(self, tensor: Tensor, count: int) -> Tensor:
        """(groups * count * width, …) → (groups, count, width, …)."""
        return tensor.reshape(self.groups, count, -1, *tensor.shape[1:])

    @property
    def _counts(self) -> list[int]:
        return [self.queries, 1, 1]


def llama_config(text: Config) -> dict[str, Any]:
    """Convert InternLM2's configuration to Llama's."""
    bias = bool(text.get("bias", False))
    return {
        **only(text, [key for key in TEXT_KEYS if key not in ("rope_theta", "rope_scaling")]),
        "model_type": "llama",
        "attention_bias": bias,
        "rope_parameters": _rope(text),
    }


def published_tensor(name: str, text: Config) -> PublishedTensor:
    """Return where a tensor of InternVL's module with a Llama is in a checkpoint with InternLM2."""
    heads, groups = text["num_attention_heads"], text.get("num_key_value_heads", text["num_attention_heads"])
    fused = _QKV.fullmatch(name)
    if fused:
        layer = fused[1].replace("model.language_model.", "language_model.model.")
        grouped = Grouped(groups, heads // groups)
        return PublishedTensor(f"{layer}.attention.wqkv.{fused[3]}", "qkv".index(fused[2]), grouped)
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return PublishedTensor(name)


def _rope(text: Config) -> dict[str, Any]:
    """Convert the rotary settings; dynamic scaling has no effect up to `max_position_embeddings`."""
    scaling = text.get("rope_scaling") or {"type": "default"}
    rope = {"rope_type": scaling["type"], "rope_theta": float(text.get("rope_theta", 10_000))}
    return rope | only(scaling, ["factor"])
