"""Checkpoints of a published shape with random weights: time and memory are real, answers nonsense.

They are laid out as the published ones are, so that whatever reads those can be measured without them. Only
the vocabulary is not theirs: a word is a token, as it mostly is in theirs, and most rows of the embedding
mean nothing.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from engines.grounding.checkpoints import build, image_tokens
from engines.grounding.families.base import Config
from engines.grounding.layout import published
from engines.grounding.templates import OTHER_ENDS, SPECIAL, make_template
from engines.grounding.weights import WEIGHTS_FILE, hollow
from streaming.errors import Conflict

SA2VA_1B: Final[dict[str, Any]] = {
    "architectures": ["Sa2VAChatModel"],
    "model_type": "sa2va_chat",
    "template": "qwen_chat",
    "select_layer": -1,
    "force_image_size": 448,
    "downsample_ratio": 0.5,
    "ps_version": "v2",
    "dynamic_image_size": True,
    "use_thumbnail": True,
    "max_dynamic_patch": 12,
    "tie_word_embeddings": False,
    "vision_config": {
        "architectures": ["InternVisionModel"],
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "image_size": 448,
        "patch_size": 14,
        "qkv_bias": True,
        "qk_normalization": False,
        "norm_type": "layer_norm",
        "layer_norm_eps": 1e-6,
        "initializer_range": 0.02,
        "initializer_factor": 1.0,
    },
    "llm_config": {
        "architectures": ["Qwen2ForCausalLM"],
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151_679,
        "max_position_embeddings": 32_768,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
    },
}
"""Sa2VA-1B: InternViT-300M, Qwen2.5-0.5B with the 151,674 tokens of InternVL2.5-1B and Sa2VA's five, head and
embedding apart; SAM-2 is Hiera-L 2.0, as where no config says otherwise."""

_WORDS: Final = (
    "please segment in this image could you give me a detailed description of the respond with "
    "interleaved segmentation masks for corresponding parts answer there are part regions picture "
    "sure sorry i cannot see it user assistant person car dog cat cup box ball chair table tree "
    "red blue green yellow white black left right large small on near and two three"
)


def write_random(config: Config, folder: Path, seed: int = 0) -> int:
    """Write a checkpoint of that shape in bfloat16; returns how many parameters it has.

    Whatever it is asked about it points at something, so that what follows an answer can be measured too.
    Holds all of it in memory. Raises Conflict where the folder has a checkpoint, CheckpointError where the
    configuration describes no model.
    """
    if (folder / "config.json").exists():
        raise Conflict(f"{folder} holds a checkpoint already.", remedy="Name a new folder.")
    tokenizer = word_tokenizer()
    with hollow():
        model = build(config, make_template(tokenizer, image_tokens(config)).image_id)
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: _random(name, tensor.shape, generator)
        for name, tensor in published(model.state_dict(), model.place).items()
    }
    # Random weights are sure of nothing: they would refuse, and nothing would be drawn or tracked.
    config = dict(config) | {"presence_threshold": 0.0}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS_FILE)
    (folder / WEIGHTS_FILE).chmod(0o644)  # safetensors writes for its owner only
    tokenizer.save(str(folder / "tokenizer.json"))
    # Last: a folder without it is no checkpoint.
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return sum(tensor.numel() for tensor in tensors.values())


def word_tokenizer() -> Tokenizer:
    """A word is a token; all tokens of the InternVL family are there, and a line break, as in Qwen's."""
    ordered = dict.fromkeys(["<unk>", *SPECIAL, *OTHER_ENDS, *".,?:", *_WORDS.split()])
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(ordered)}, unk_token="<unk>"))  # noqa: S106
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in (*SPECIAL, *OTHER_ENDS)]
    )
    tokenizer.add_tokens([AddedToken("\n", special=False, normalized=False)])
    return tokenizer


def _random(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Of a size that neither dies away nor explodes from layer to layer."""
    if len(shape) == 1:
        return torch.full(shape, float(name.endswith(("weight", "ls1", "ls2"))), dtype=torch.bfloat16)
    spread = 1 / math.sqrt(math.prod(shape[1:]))
    return torch.empty(shape, dtype=torch.bfloat16).normal_(0.0, spread, generator=generator)
