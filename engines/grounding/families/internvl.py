"""The InternVL family: Sa2VA-1B, 4B, 8B, 26B, InternVL3-2B, 8B, 14B, and nano.

    vision_model.*      InternViT (OpenGVLab names, fused qkv)
    mlp1.{0,1,3}.*      projector
    language_model.*    Qwen2ForCausalLM, Qwen3ForCausalLM, LlamaForCausalLM, InternLM2ForCausalLM

Source: bytedance/Sa2VA `projects/sa2va/hf/models/modeling_sa2va_chat.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor
from transformers import InternVLConfig, InternVLForConditionalGeneration

from engines.grounding.families import internlm2
from engines.grounding.families.base import TEXT_KEYS, Config, ImageFeatures, SpecialTokens, only, part
from engines.grounding.families.conv_stem import ConvStem
from engines.grounding.image_processing import Resize, bicubic, halving_bilinear, normalise, tiled
from engines.grounding.weight_layout import PublishedTensor, Stacked
from streaming.errors import CheckpointError
from streaming.vocabulary import Pixels

INTERNLM2: Final = "InternLM2ForCausalLM"
_LANGUAGE_MODELS: Final = {
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "LlamaForCausalLM": "llama",
    INTERNLM2: "llama",
}
_FIXED: Final = {"select_layer": -1, "ps_version": "v2", "use_backbone_lora": 0, "use_llm_lora": 0}
"Values that all published configurations have and this module requires."
_RENAMES: Final = (
    (r"^model\.vision_tower\.embeddings\.cls_token$", "vision_model.embeddings.class_embedding"),
    (r"^model\.vision_tower\.embeddings\.position_embeddings$", "vision_model.embeddings.position_embedding"),
    (
        r"^model\.vision_tower\.embeddings\.patch_embeddings\.projection\.",
        "vision_model.embeddings.patch_embedding.",
    ),
    (r"^model\.vision_tower\.encoder\.layer\.", "vision_model.encoder.layers."),
    (r"^(vision_model\..*)\.attention\.projection_layer\.", r"\1.attn.proj."),
    (r"^(vision_model\..*)\.attention\.", r"\1.attn."),
    (r"^(vision_model\..*)\.layernorm_before\.", r"\1.norm1."),
    (r"^(vision_model\..*)\.layernorm_after\.", r"\1.norm2."),
    (r"^(vision_model\..*)\.lambda_([12])$", r"\1.ls\2"),
    (r"^model\.multi_modal_projector\.layer_norm\.", "mlp1.0."),
    (r"^model\.multi_modal_projector\.linear_1\.", "mlp1.1."),
    (r"^model\.multi_modal_projector\.linear_2\.", "mlp1.3."),
    (r"^model\.language_model\.", "language_model.model."),
    (r"^lm_head\.", "language_model.lm_head."),
)
_QKV: Final = re.compile(r"(vision_model\..*\.attn\.)([qkv])_proj\.(weight|bias)")


@dataclass(frozen=True)
class InternVl:
    """The `base.Family` of a published config.json."""

    config: Config
    image_id: int

    @property
    def special_tokens(self) -> SpecialTokens:
        """Special tokens; only InternLM2 has a beginning-of-sequence token."""
        return SpecialTokens("<img>", "<IMG_CONTEXT>", "</img>", "<s>" if self._language == INTERNLM2 else "")

    def make(self) -> Any:
        """Build InternVLForConditionalGeneration."""
        self._check()
        mllm = InternVLForConditionalGeneration(self._native())
        widths = tuple(self._vision.get("stem_widths", ()))
        if widths:
            blocks = tuple(self._vision.get("stem_blocks", ()))
            mllm.model.vision_tower.embeddings.patch_embeddings.projection = ConvStem(widths, blocks)
        return mllm

    def published_tensor(self, name: str) -> PublishedTensor:
        """Map to OpenGVLab's names with q, k and v of the vision encoder fused, or to InternLM2's names."""
        if self._language == INTERNLM2 and name.startswith(("model.language_model.", "lm_head.")):
            return internlm2.published_tensor(name, self._text)
        for pattern, replacement in _RENAMES:
            name = re.sub(pattern, replacement, name)
        fused = _QKV.fullmatch(name)
        if fused:
            return PublishedTensor(f"{fused[1]}qkv.{fused[3]}", "qkv".index(fused[2]), Stacked(3))
        return PublishedTensor(name)

    def preprocess(self, pixels: Pixels, max_tiles: int) -> Tensor:
        """Cut an image into square tiles, the last of which is the whole image; one tile: the whole image."""
        side: int = self._vision["image_size"]
        if max_tiles > 1 and self.config.get("dynamic_image_size", False):
            return normalise(tiled(pixels, side, max_tiles))
        return normalise(self._resize(pixels, side, side)[None])

    def token_count(self, height: int, width: int) -> int:
        """Return the number of image tokens of a tile, which is constant."""
        del height, width
        return self.image_tokens

    def encode_images(self, mllm: Any, pixels: Tensor) -> ImageFeatures:
        """Encode B square tiles."""
        features = mllm.model.get_image_features(pixels, return_dict=True)
        return ImageFeatures(patches=features.last_hidden_state[:, 1:], tokens=features.pooler_output)

    def token_logits(self, mllm: Any, hidden: Tensor) -> Tensor:
        """Apply the language model's head."""
        logits: Tensor = mllm.lm_head(hidden)
        return logits

    def position_ids(self, ids: Sequence[int], image_id: int, sizes: Sequence[tuple[int, int]]) -> None:
        """Return None: position ids are 0, 1, 2, …"""
        del ids, image_id, sizes

    @property
    def image_tokens(self) -> int:
        """`<IMG_CONTEXT>` tokens per tile."""
        side: float = (
            self._vision["image_size"] // self._vision["patch_size"] * self.config["downsample_ratio"]
        )
        return int(side**2)

    @property
    def _resize(self) -> Resize:
        # Published encoders were trained on PIL's bicubic images; only our own configurations describe SAM-2.
        return halving_bilinear if "sam2_config" in self.config else bicubic

    @property
    def _vision(self) -> Config:
        return part(self.config, "vision_config")

    @property
    def _text(self) -> Config:
        return part(self.config, "llm_config")

    @property
    def _language(self) -> str:
        return next(iter(self._text.get("architectures") or ()), "none")

    def _check(self) -> None:
        if self._language not in _LANGUAGE_MODELS:
            raise CheckpointError(
                f"A checkpoint of Sa2VAChatModel with language model {self._language} is not read here.",
                remedy=f"Known: {', '.join(_LANGUAGE_MODELS)}.",
            )
        for key, value in _FIXED.items():
            if self.config.get(key, value) != value:
                raise CheckpointError(f"config.json has {key} {self.config[key]!r}; read is {value!r}.")

    def _native(self) -> InternVLConfig:
        vision, text = self._vision, self._text
        if self._language == INTERNLM2:
            native_text = internlm2.llama_config(text)
        else:
            native_text = {"model_type": _LANGUAGE_MODELS[self._language], **only(text, TEXT_KEYS)}
        tied = self.config.get("tie_word_embeddings", text.get("tie_word_embeddings", False))
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
            text_config={**native_text, "tie_word_embeddings": tied},
            image_token_id=self.image_id,
            image_seq_length=self.image_tokens,
            downsample_ratio=self.config["downsample_ratio"],
            tie_word_embeddings=tied,
        )
