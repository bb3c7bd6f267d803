"""Tiny random Sa2VA checkpoints in the published layout of each family; names and shapes are written by hand.

Images have few pixels; SAM-2 is a Hiera of 128 px. Weights are float32.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor
from transformers import Sam2Config, Sam2Model

from engines.tracking.weight_names import to_official

WIDTH, LAYERS, HEADS, GROUPS, MLP = 48, 3, 4, 2, 64
VISION_WIDTH, VISION_LAYERS, VISION_HEADS, VISION_MLP = 32, 3, 2, 40
PROMPT, SAM_PX = 32, 128
WORDS = "please segment in this image the a red blue circle star sure sorry i cannot see it user assistant"
MARKS = {
    "Sa2VAChatModel": ("<img>", "<IMG_CONTEXT>", "</img>"),
    "Sa2VAChatModelQwen": ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>"),
}
CHAT_TOKENS = ("<s>", "<|im_start|>", "<|im_end|>")
ADDED = ("[SEG]", "<p>", "</p>", "<vp>", "</vp>")
TRACKER_PREFIXES = ("mask_downsample", "maskmem_", "memory_", "no_obj_ptr", "obj_ptr_")
"Prefixes of SAM-2's memory tensors, which a grounder does not load."
Shapes = dict[str, tuple[int, ...]]

SAM: dict[str, Any] = {
    "vision_config": {
        "backbone_config": {
            "model_type": "sam2_hiera_det_model",
            "hidden_size": 16,
            "image_size": [SAM_PX, SAM_PX],
            "blocks_per_stage": [1, 2, 2, 1],
            "embed_dim_per_stage": [16, 32, 48, 64],
            "num_attention_heads_per_stage": [1, 2, 3, 4],
            "window_size_per_stage": [8, 4, 4, 4],
            "global_attention_blocks": [4],
            "window_positional_embedding_background_size": [4, 4],
        },
        "backbone_channel_list": [64, 48, 32, 16],
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        "fpn_hidden_size": PROMPT,
    },
    "prompt_encoder_config": {"hidden_size": PROMPT, "image_size": SAM_PX},
    "mask_decoder_config": {
        "hidden_size": PROMPT,
        "mlp_dim": 40,
        "num_attention_heads": 4,
        "iou_head_hidden_dim": PROMPT,
    },
}


def write(kind: str, folder: Path, seed: int = 0) -> dict[str, Tensor]:
    """Write a checkpoint of one of `KINDS`; return its tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    config, shapes = KINDS[kind]()
    tokenizer = tiny_tokenizer(config["architectures"][0])
    torch.manual_seed(seed)
    tensors = {name: _random(name, shape) for name, shape in shapes.items()} | _sam()
    tensors |= {
        f"text_hidden_fcs.{layer}.{part}": _random(part, shape)
        for layer, part, shape in (
            (0, "weight", (WIDTH, WIDTH)),
            (0, "bias", (WIDTH,)),
            (2, "weight", (PROMPT, WIDTH)),
            (2, "bias", (PROMPT,)),
        )
    }
    (folder / "config.json").write_text(json.dumps(config | {"sam2_config": SAM, "model_type": "sa2va_chat"}))
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file(tensors, folder / "model.safetensors")
    return tensors


def without_memory(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint that a grounder loads."""
    sam = "grounding_encoder.sam2_model."
    return {n: t for n, t in tensors.items() if not n.removeprefix(sam).startswith(TRACKER_PREFIXES)}


def tiny_tokenizer(architecture: str) -> Tokenizer:
    """Create a tokenizer with one token per word, and the family's special tokens."""
    special = (*CHAT_TOKENS, *MARKS[architecture], *ADDED)
    ordered = dict.fromkeys(["<unk>", *special, "\n", ".", ",", "?", *WORDS.split()])
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(ordered)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.add_tokens([AddedToken("\n", special=False, normalized=False)])
    return tokenizer


def _words(architecture: str) -> int:
    return int(tiny_tokenizer(architecture).get_vocab_size())


def _random(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return random values of a scale that changes outputs; norm weights are near 1."""
    if len(shape) == 1:
        return 0.1 * torch.randn(shape) + float(name.endswith(("weight", "ls1", "ls2")))
    return torch.randn(shape) / math.sqrt(math.prod(shape[1:]))


def _sam() -> dict[str, Tensor]:
    with torch.device("meta"):
        shapes = {
            n: tuple(t.shape) for n, t in to_official(Sam2Model(Sam2Config(**SAM)).state_dict()).items()
        }
    memory: Shapes = {
        "maskmem_tpos_enc": (7, 1, 1, 16),
        "memory_attention.norm.weight": (PROMPT,),
        "memory_encoder.fuser.layers.0.g_weight": (PROMPT,),
        "obj_ptr_proj.layers.0.weight": (PROMPT, PROMPT),
        "no_obj_ptr": (1, PROMPT),
        "mask_downsample.weight": (1, 1, 4, 4),
    }
    return {
        f"grounding_encoder.sam2_model.{name}": _random(name, shape)
        for name, shape in (shapes | memory).items()
    }


# --- InternVL -------------------------------------------------------------------------------------


def internvl(llm: str) -> tuple[dict[str, Any], Shapes]:
    """InternViT of 56 px with a language model of a published architecture."""
    vocabulary = _words("Sa2VAChatModel")
    config = {
        "architectures": ["Sa2VAChatModel"],
        "template": "internlm2_chat" if llm.startswith("InternLM2") else "qwen_chat",
        "select_layer": -1,
        "force_image_size": 56,
        "downsample_ratio": 0.5,
        "ps_version": "v2",
        "dynamic_image_size": True,
        "use_thumbnail": True,
        "tie_word_embeddings": False,
        "vision_config": {
            "architectures": ["InternVisionModel"],
            "hidden_size": VISION_WIDTH,
            "num_hidden_layers": VISION_LAYERS,
            "num_attention_heads": VISION_HEADS,
            "intermediate_size": VISION_MLP,
            "image_size": 56,
            "patch_size": 14,
            "qkv_bias": True,
            "qk_normalization": False,
            "norm_type": "layer_norm",
            "layer_norm_eps": 1e-6,
            "initializer_range": 0.02,
            "initializer_factor": 1.0,
            "use_flash_attn": True,
        },
        "llm_config": {
            "architectures": [llm],
            "attn_implementation": "flash_attention_2",
            "hidden_size": WIDTH,
            "intermediate_size": MLP,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": GROUPS,
            "vocab_size": vocabulary,
            "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1_000_000.0,
            "rope_scaling": {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"},
            "sliding_window": None,
            "torch_dtype": "bfloat16",
            "use_sliding_window": False,
        },
    }
    text = config["llm_config"]
    assert isinstance(text, dict)
    if llm == "InternLM2ForCausalLM":
        text |= {"bias": False, "rope_scaling": {"type": "dynamic", "factor": 2.0}}
        return config, _internvit() | _internlm2(vocabulary)
    if llm == "Qwen3ForCausalLM":
        text["head_dim"] = 16
    names = _qwen_layers("language_model.model.", qwen3=llm == "Qwen3ForCausalLM")
    return config, _internvit() | names | _embedding_and_head(
        "language_model.model.embed_tokens", "language_model.model.norm", "language_model.lm_head", vocabulary
    )


def _embedding_and_head(embedding: str, norm: str, head: str, vocabulary: int) -> Shapes:
    return {
        f"{embedding}.weight": (vocabulary, WIDTH),
        f"{norm}.weight": (WIDTH,),
        f"{head}.weight": (vocabulary, WIDTH),
    }


def _internvit() -> Shapes:
    shapes: Shapes = {
        "vision_model.embeddings.class_embedding": (1, 1, VISION_WIDTH),
        "vision_model.embeddings.position_embedding": (1, 17, VISION_WIDTH),
        "vision_model.embeddings.patch_embedding.weight": (VISION_WIDTH, 3, 14, 14),
        "vision_model.embeddings.patch_embedding.bias": (VISION_WIDTH,),
        "mlp1.0.weight": (4 * VISION_WIDTH,),
        "mlp1.0.bias": (4 * VISION_WIDTH,),
        "mlp1.1.weight": (WIDTH, 4 * VISION_WIDTH),
        "mlp1.1.bias": (WIDTH,),
        "mlp1.3.weight": (WIDTH, WIDTH),
        "mlp1.3.bias": (WIDTH,),
    }
    for index in range(VISION_LAYERS):
        layer = f"vision_model.encoder.layers.{index}."
        shapes |= {
            f"{layer}attn.qkv.weight": (3 * VISION_WIDTH, VISION_WIDTH),
            f"{layer}attn.qkv.bias": (3 * VISION_WIDTH,),
            f"{layer}attn.proj.weight": (VISION_WIDTH, VISION_WIDTH),
            f"{layer}attn.proj.bias": (VISION_WIDTH,),
            f"{layer}mlp.fc1.weight": (VISION_MLP, VISION_WIDTH),
            f"{layer}mlp.fc1.bias": (VISION_MLP,),
            f"{layer}mlp.fc2.weight": (VISION_WIDTH, VISION_MLP),
            f"{layer}mlp.fc2.bias": (VISION_WIDTH,),
            f"{layer}ls1": (VISION_WIDTH,),
            f"{layer}ls2": (VISION_WIDTH,),
        }
        shapes |= {f"{layer}norm{k}.{part}": (VISION_WIDTH,) for k in (1, 2) for part in ("weight", "bias")}
    return shapes


def _internlm2(vocabulary: int) -> Shapes:
    head = WIDTH // HEADS
    shapes = _embedding_and_head(
        "language_model.model.tok_embeddings",
        "language_model.model.norm",
        "language_model.output",
        vocabulary,
    )
    for index in range(LAYERS):
        layer = f"language_model.model.layers.{index}."
        shapes |= {
            f"{layer}attention.wqkv.weight": ((HEADS + 2 * GROUPS) * head, WIDTH),
            f"{layer}attention.wo.weight": (WIDTH, WIDTH),
            f"{layer}feed_forward.w1.weight": (MLP, WIDTH),
            f"{layer}feed_forward.w2.weight": (WIDTH, MLP),
            f"{layer}feed_forward.w3.weight": (MLP, WIDTH),
            f"{layer}attention_norm.weight": (WIDTH,),
            f"{layer}ffn_norm.weight": (WIDTH,),
        }
    return shapes


def _qwen_layers(prefix: str, *, qwen3: bool) -> Shapes:
    """Qwen2 has biases on q, k, v; Qwen3 has norms of queries and keys and a head width of its own."""
    head, shapes = 16 if qwen3 else WIDTH // HEADS, Shapes()
    for index in range(LAYERS):
        layer = f"{prefix}layers.{index}."
        for letter, count in (("q", HEADS), ("k", GROUPS), ("v", GROUPS)):
            shapes[f"{layer}self_attn.{letter}_proj.weight"] = (count * head, WIDTH)
            if not qwen3:
                shapes[f"{layer}self_attn.{letter}_proj.bias"] = (count * head,)
        if qwen3:
            shapes |= {f"{layer}self_attn.{letter}_norm.weight": (head,) for letter in "qk"}
        shapes |= {
            f"{layer}self_attn.o_proj.weight": (WIDTH, HEADS * head),
            f"{layer}mlp.gate_proj.weight": (MLP, WIDTH),
            f"{layer}mlp.up_proj.weight": (MLP, WIDTH),
            f"{layer}mlp.down_proj.weight": (WIDTH, MLP),
            f"{layer}input_layernorm.weight": (WIDTH,),
            f"{layer}post_attention_layernorm.weight": (WIDTH,),
        }
    return shapes


# --- Qwen-VL --------------------------------------------------------------------------------------


def qwen(generation: str) -> tuple[dict[str, Any], Shapes]:
    """Qwen2.5-VL or Qwen3-VL."""
    vocabulary, qwen3 = _words("Sa2VAChatModelQwen"), generation == "qwen3_vl"
    head = 16 if qwen3 else WIDTH // HEADS
    rope = {"mrope_section": [4, 2, 2] if qwen3 else [2, 2, 2], "rope_type": "default", "type": "default"}
    config = {
        "architectures": ["Sa2VAChatModelQwen"],
        "template": "qwen_chat",
        "image_token_id": 151655,
        "tie_word_embeddings": False,
        "text_config": {
            "model_type": f"{generation}_text",
            "attn_implementation": "flash_attention_2",
            "hidden_size": WIDTH,
            "intermediate_size": MLP,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": GROUPS,
            "head_dim": head,
            "vocab_size": vocabulary,
            "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1_000_000.0,
            "rope_scaling": rope | ({"mrope_interleaved": True} if qwen3 else {}),
        },
        "vision_config": {
            "model_type": generation,
            "depth": VISION_LAYERS,
            "hidden_size": VISION_WIDTH,
            "intermediate_size": VISION_MLP,
            "num_heads": VISION_HEADS,
            "out_hidden_size": WIDTH,
            "patch_size": 16 if qwen3 else 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            **(
                {"num_position_embeddings": 16, "deepstack_visual_indexes": [0, 2]}
                if qwen3
                else {"window_size": 112, "fullatt_block_indexes": [1]}
            ),
        },
    }
    return config, (
        _qwen_vision(qwen3=qwen3)
        | _qwen_layers("model.model.language_model.", qwen3=qwen3)
        | _embedding_and_head(
            "model.model.language_model.embed_tokens",
            "model.model.language_model.norm",
            "model.lm_head",
            vocabulary,
        )
    )


def _linear(name: str, outputs: int, inputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _qwen_vision(*, qwen3: bool) -> Shapes:
    prefix, patch = "model.model.visual.", 16 if qwen3 else 14
    shapes: Shapes = {f"{prefix}patch_embed.proj.weight": (VISION_WIDTH, 3, 2, patch, patch)}
    norm_parts = ("weight", "bias") if qwen3 else ("weight",)
    for index in range(VISION_LAYERS):
        block = f"{prefix}blocks.{index}."
        shapes |= _linear(f"{block}attn.qkv", 3 * VISION_WIDTH, VISION_WIDTH) | _linear(
            f"{block}attn.proj", VISION_WIDTH, VISION_WIDTH
        )
        shapes |= {f"{block}norm{k}.{part}": (VISION_WIDTH,) for k in (1, 2) for part in norm_parts}
        if qwen3:
            shapes |= _linear(f"{block}mlp.linear_fc1", VISION_MLP, VISION_WIDTH)
            shapes |= _linear(f"{block}mlp.linear_fc2", VISION_WIDTH, VISION_MLP)
        else:
            shapes |= _linear(f"{block}mlp.gate_proj", VISION_MLP, VISION_WIDTH)
            shapes |= _linear(f"{block}mlp.up_proj", VISION_MLP, VISION_WIDTH)
            shapes |= _linear(f"{block}mlp.down_proj", VISION_WIDTH, VISION_MLP)
    if not qwen3:
        shapes |= {f"{prefix}merger.ln_q.weight": (VISION_WIDTH,)}
        return (
            shapes
            | _linear(f"{prefix}merger.mlp.0", 4 * VISION_WIDTH, 4 * VISION_WIDTH)
            | _linear(f"{prefix}merger.mlp.2", WIDTH, 4 * VISION_WIDTH)
        )
    shapes |= {
        f"{prefix}patch_embed.proj.bias": (VISION_WIDTH,),
        f"{prefix}pos_embed.weight": (16, VISION_WIDTH),
    }
    for name, width in (
        ("merger", VISION_WIDTH),
        *((f"deepstack_merger_list.{k}", 4 * VISION_WIDTH) for k in (0, 1)),
    ):
        shapes |= {f"{prefix}{name}.norm.{part}": (width,) for part in norm_parts}
        shapes |= _linear(f"{prefix}{name}.linear_fc1", 4 * VISION_WIDTH, 4 * VISION_WIDTH)
        shapes |= _linear(f"{prefix}{name}.linear_fc2", WIDTH, 4 * VISION_WIDTH)
    return shapes


KINDS = {
    "internvl-qwen2": lambda: internvl("Qwen2ForCausalLM"),
    "internvl-qwen3": lambda: internvl("Qwen3ForCausalLM"),
    "internvl-internlm2": lambda: internvl("InternLM2ForCausalLM"),
    "qwen2_5_vl": lambda: qwen("qwen2_5_vl"),
    "qwen3_vl": lambda: qwen("qwen3_vl"),
}
"Every published layout of a Sa2VA."
