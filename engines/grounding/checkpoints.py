"""Sa2VA checkpoints on disk, in the layout in which they are published, read without anybody's remote code.

A folder holds `config.json`, `tokenizer.json` and `model.safetensors` (or a sharded
`model.safetensors.index.json`). Tensor names are those of bytedance/Sa2VA's InternVL family:

    vision_model.*                     InternViT (OpenGVLab names, fused qkv)
    mlp1.{0,1,3}.*                     projector
    language_model.*                   Qwen2ForCausalLM
    text_hidden_fcs.{0,2}.*            hidden state at [SEG] → prompt
    grounding_encoder.sam2_model.*     SAM-2 (facebookresearch/sam2 names)

The grounder decodes without memory, so SAM-2's memory tensors are read past, and nano does not ship them.
Four keys of nano's `config.json` are ours: `sam2_config` (published checkpoints all use Hiera-L 2.0),
`vision_config.stem_widths` (a convolutional patch embedding), `presence_threshold`, and `structure`, a
`RefinementKind` whose tensors are `structure.*`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import InternVLConfig, Sam2Config

from engines.grounding.model import SaModel
from engines.grounding.structure import RefinementKind
from engines.grounding.templates import Template, make_template
from engines.tracking.checkpoints import official_name, to_official
from streaming.errors import CheckpointError, NotFound

WEIGHTS_FILE: Final = "model.safetensors"
INDEX_FILE: Final = "model.safetensors.index.json"
NANO_DIR: Final = Path(__file__).resolve().parent.parent / "nano" / "sa2va"
DEFAULT_PRESENCE_THRESHOLD: Final = 0.5
NAMED: Final = 10
"An error names this many tensors of a kind."

_SAM: Final = "grounding_encoder.sam2_model."
_MEMORY: Final = re.compile(
    re.escape(_SAM) + r"(memory_|maskmem_tpos_enc|obj_ptr_|no_obj_|no_mem_pos_enc|mask_downsample)"
)
_RENAMES: Final = (
    (r"^mllm\.model\.vision_tower\.embeddings\.cls_token$", "vision_model.embeddings.class_embedding"),
    (
        r"^mllm\.model\.vision_tower\.embeddings\.position_embeddings$",
        "vision_model.embeddings.position_embedding",
    ),
    (
        r"^mllm\.model\.vision_tower\.embeddings\.patch_embeddings\.projection\.",
        "vision_model.embeddings.patch_embedding.",
    ),
    (r"^mllm\.model\.vision_tower\.encoder\.layer\.", "vision_model.encoder.layers."),
    (r"^(vision_model\..*)\.attention\.projection_layer\.", r"\1.attn.proj."),
    (r"^(vision_model\..*)\.attention\.", r"\1.attn."),
    (r"^(vision_model\..*)\.layernorm_before\.", r"\1.norm1."),
    (r"^(vision_model\..*)\.layernorm_after\.", r"\1.norm2."),
    (r"^(vision_model\..*)\.lambda_([12])$", r"\1.ls\2"),
    (r"^mllm\.model\.multi_modal_projector\.layer_norm\.", "mlp1.0."),
    (r"^mllm\.model\.multi_modal_projector\.linear_1\.", "mlp1.1."),
    (r"^mllm\.model\.multi_modal_projector\.linear_2\.", "mlp1.3."),
    (r"^mllm\.model\.language_model\.", "language_model.model."),
    (r"^mllm\.lm_head\.", "language_model.lm_head."),
)
_QKV: Final = re.compile(r"(vision_model\..*\.attn\.)([qkv])_proj\.(weight|bias)")
_POINTS: Final = "segmenter.prompt_encoder.point_embed.weight"

HIERA_LARGE: Final[dict[str, Any]] = {
    "vision_config": {
        "backbone_config": {
            "model_type": "sam2_hiera_det_model",
            "hidden_size": 144,
            "num_attention_heads": 2,
            "blocks_per_stage": [2, 6, 36, 4],
            "embed_dim_per_stage": [144, 288, 576, 1152],
            "num_attention_heads_per_stage": [2, 4, 8, 16],
            "window_size_per_stage": [8, 4, 16, 8],
            "global_attention_blocks": [23, 33, 43],
        },
        "backbone_channel_list": [1152, 576, 288, 144],
    },
    "prompt_encoder_config": {"image_size": 1024},
}
"""SAM-2 as in every published Sa2VA: `sam2_hiera_l.yaml` of version 2.0, 1024 px."""


@dataclass(frozen=True, slots=True, eq=False)
class Sa2Va:
    """A checkpoint in memory."""

    model: SaModel
    "float32, on the CPU, in eval mode, without gradients."
    template: Template
    config: Mapping[str, Any]
    "The content of config.json."

    @property
    def presence_threshold(self) -> float:
        """A thing is there where the probability of "Sure, [SEG]" reaches this."""
        return float(self.config.get("presence_threshold", DEFAULT_PRESENCE_THRESHOLD))

    @property
    def look_px(self) -> int:
        """Side of the square picture that the language model sees."""
        return int(self.config["vision_config"]["image_size"])

    @property
    def draw_px(self) -> int:
        """Side of the square picture that SAM-2 sees; its masks have a quarter of it."""
        sam = self.config.get("sam2_config", HIERA_LARGE)
        return int(sam["prompt_encoder_config"]["image_size"])


def load_sa2va(name_or_dir: str | Path) -> Sa2Va:
    """Read `nano` (bundled) or a checkpoint folder.

    Raises NotFound where there is no such folder; CheckpointError where a file cannot be read, the
    architecture is not one that is read here, or tensors are missing, surplus or misshapen (named).
    """
    directory = NANO_DIR if str(name_or_dir) == "nano" else Path(name_or_dir)
    if not (directory / "config.json").is_file():
        raise NotFound(
            f"No Sa2VA checkpoint at {directory}.", remedy="It is `nano` or a folder with a config.json."
        )
    try:
        config = json.loads((directory / "config.json").read_text())
        tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        tensors = _read(directory)
    except (OSError, ValueError, SafetensorError) as exc:
        raise CheckpointError(f"Cannot read {directory}: {exc}.") from exc
    except Exception as exc:  # tokenizers raises bare Exception for a missing or broken file
        raise CheckpointError(f"Cannot read {directory / 'tokenizer.json'}: {exc}.") from exc
    template = make_template(tokenizer, image_tokens(config))
    model = build(config, template.image_id)
    fill(model, tensors)
    model.eval().requires_grad_(False)
    return Sa2Va(model, template, config)


def save_sa2va(checkpoint: Sa2Va, directory: Path) -> None:
    """Write config, tokenizer and float16 weights, each renamed over the old file."""
    directory.mkdir(parents=True, exist_ok=True)
    published = to_published(checkpoint.model.state_dict())
    weights = directory / (WEIGHTS_FILE + ".new")
    save_file({k: v.half().contiguous() for k, v in published.items()}, weights)
    weights.chmod(0o644)  # safetensors writes for its owner only
    (directory / "config.json.new").write_text(json.dumps(dict(checkpoint.config), indent=2) + "\n")
    checkpoint.template.tokenizer.save(str(directory / "tokenizer.json.new"))
    for name in ("config.json", "tokenizer.json", WEIGHTS_FILE):
        (directory / (name + ".new")).replace(directory / name)


# --- configuration --------------------------------------------------------------------------------


def build(config: Mapping[str, Any], image_id: int) -> SaModel:
    """An untrained model of the shape that a published `config.json` describes."""
    _check_architecture(config)
    widths = tuple(config["vision_config"].get("stem_widths", ()))
    model = SaModel(
        _mllm_config(config, image_id), Sam2Config(**config.get("sam2_config", HIERA_LARGE)), widths
    )
    if "structure" in config:
        model.refine_by(_refinement(config["structure"]))
    return model


def image_tokens(config: Mapping[str, Any]) -> int:
    """How many `<IMG_CONTEXT>` stand for one picture."""
    vision = config["vision_config"]
    return int((vision["image_size"] // vision["patch_size"] * config["downsample_ratio"]) ** 2)


def _check_architecture(config: Mapping[str, Any]) -> None:
    architecture = next(iter(config.get("architectures", ())), "none")
    language = next(iter(config.get("llm_config", {}).get("architectures", ())), "none")
    if architecture != "Sa2VAChatModel" or language != "Qwen2ForCausalLM":
        raise CheckpointError(
            f"A checkpoint of {architecture} with language model {language} is not read here.",
            remedy="Use a Sa2VA of the InternVL family with a Qwen2.5 language model.",
        )


def _refinement(name: str) -> RefinementKind:
    try:
        return RefinementKind(name)
    except ValueError as exc:
        raise CheckpointError(
            f"config.json asks for the refinement {name!r}.", remedy=f"Known: {', '.join(RefinementKind)}."
        ) from exc


def _mllm_config(config: Mapping[str, Any], image_id: int) -> InternVLConfig:
    vision, text = config["vision_config"], config["llm_config"]
    return InternVLConfig(
        vision_config={
            "hidden_size": vision["hidden_size"],
            "num_hidden_layers": vision["num_hidden_layers"],
            "num_attention_heads": vision["num_attention_heads"],
            "intermediate_size": vision["intermediate_size"],
            "attention_bias": vision["qkv_bias"],
            "use_qk_norm": vision["qk_normalization"],
            "norm_type": vision["norm_type"],
            "layer_norm_eps": vision["layer_norm_eps"],
            "initializer_range": vision["initializer_range"],
            "layer_scale_init_value": vision["initializer_factor"],
            "image_size": (vision["image_size"], vision["image_size"]),
            "patch_size": (vision["patch_size"], vision["patch_size"]),
        },
        text_config={"model_type": "qwen2", **text},
        image_token_id=image_id,
        image_seq_length=image_tokens(config),
        downsample_ratio=config["downsample_ratio"],
        tie_word_embeddings=text.get("tie_word_embeddings", False),
    )


# --- tensors --------------------------------------------------------------------------------------


def published_name(native: str) -> str:
    """Published name of one of `SaModel`'s tensors; fused ones (qkv) and point embeddings apart."""
    if native.startswith("segmenter."):
        return _SAM + official_name(native.removeprefix("segmenter."))
    for pattern, replacement in _RENAMES:
        native = re.sub(pattern, replacement, native)
    return native


def to_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`SaModel.state_dict()` under published names: q, k and v fused, point embeddings apart."""
    sam = {k.removeprefix("segmenter."): v for k, v in state.items() if k.startswith("segmenter.")}
    published = {_SAM + name: tensor for name, tensor in to_official(sam).items()}
    for native, tensor in state.items():
        name = published_name(native)
        part = _QKV.fullmatch(name)
        if part and part[2] == "q":
            parts = [state[native.replace("q_proj", f"{letter}_proj")] for letter in "qkv"]
            published[f"{part[1]}qkv.{part[3]}"] = torch.cat(parts)
        elif not part and not native.startswith("segmenter."):
            published[name] = tensor
    return published


def fill(model: SaModel, published: Mapping[str, Tensor]) -> None:
    """Copy published tensors into the model; every one must be there and fit.

    Raises CheckpointError naming the first ten that are missing, surplus or misshapen.
    """
    state = model.state_dict()
    _check(to_published(state), {k: v for k, v in published.items() if not _MEMORY.match(k)})
    native = {name: _find(name, published) for name in state}
    model.load_state_dict({name: tensor.float() for name, tensor in native.items()})


def _find(native: str, published: Mapping[str, Tensor]) -> Tensor:
    if native == _POINTS:
        points = (f"{_SAM}sam_prompt_encoder.point_embeddings.{index}.weight" for index in range(4))
        return torch.cat([published[name] for name in points])
    name = published_name(native)
    part = _QKV.fullmatch(name)
    if part:
        return published[f"{part[1]}qkv.{part[3]}"].chunk(3)["qkv".index(part[2])]
    return published[name]


def _check(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    faults = {
        "missing": sorted(wanted.keys() - given.keys()),
        "surplus": sorted(given.keys() - wanted.keys()),
        "misshapen": [
            f"{name} {tuple(given[name].shape)} for {tuple(wanted[name].shape)}"
            for name in sorted(wanted.keys() & given.keys())
            if given[name].shape != wanted[name].shape
        ],
    }
    told = [f"{fault} {len(names)}: {', '.join(names[:NAMED])}" for fault, names in faults.items() if names]
    if told:
        raise CheckpointError(
            f"The tensors do not fit config.json; {'; '.join(told)}.",
            remedy="Check that config.json and the weights belong together.",
        )


def _read(directory: Path) -> dict[str, Tensor]:
    index = directory / INDEX_FILE
    if not index.is_file():
        return load_file(directory / WEIGHTS_FILE)
    shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    return {name: tensor for shard in shards for name, tensor in load_file(directory / shard).items()}
