"""The Qwen family: Sa2VA-Qwen2_5-VL-3B and 7B, Sa2VA-Qwen3-VL-4B.

Published as `model.*`, transformers' own module. Images keep their aspect ratio within a budget of pixels;
position ids have three axes (time, height, width). Qwen3-VL adds features of earlier vision layers to the
image tokens after its first layers (DeepStack, arXiv 2406.04334), and its `[SEG]` hidden state is taken
before the language model's final norm.

Source: bytedance/Sa2VA `projects/sa2va/hf/models_qwen2_5_vl/modeling_sa2va_qwen.py` and `models_qwen3vl/`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextRMSNorm

from engines.grounding.families.base import TEXT_KEYS, Config, ImageFeatures, SpecialTokens, only, part
from engines.grounding.image_processing import bicubic, normalise, smart_resize
from engines.grounding.weight_layout import PublishedTensor
from streaming.errors import CheckpointError
from streaming.vocabulary import Pixels

PIXELS: Final = (512 * 28 * 28, 2048 * 28 * 28)
"Pixels of an image, min and max, as in Sa2VA's processor; the same for Qwen3-VL, whose tokens cover 32 px."
_VISION: Final = (
    "depth hidden_size hidden_act intermediate_size num_heads in_channels patch_size spatial_merge_size "
    "temporal_patch_size out_hidden_size window_size fullatt_block_indexes tokens_per_second "
    "num_position_embeddings deepstack_visual_indexes initializer_range"
)


@dataclass(frozen=True)
class Version:
    """What differs between Qwen2.5-VL and Qwen3-VL."""

    config: type
    module: type
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


VERSIONS: Final = {
    "qwen2_5_vl": Version(
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
    ),
    "qwen3_vl": Version(Qwen3VLConfig, Qwen3VLForConditionalGeneration, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


@dataclass(frozen=True)
class Qwen:
    """The `base.Family` of a published config.json."""

    config: Config
    image_id: int

    @property
    def special_tokens(self) -> SpecialTokens:
        """Special tokens of Qwen-VL."""
        return SpecialTokens("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")

    def make(self) -> Any:
        """Build Qwen2_5_VLForConditionalGeneration or Qwen3VLForConditionalGeneration."""
        version, tied = self._version, self.config.get("tie_word_embeddings", False)
        text = part(self.config, "text_config")
        native_text = only(text, [key for key in TEXT_KEYS if key not in ("rope_theta", "rope_scaling")])
        mllm = version.module(
            version.config(
                text_config={**native_text, "rope_parameters": _rope(text), "tie_word_embeddings": tied},
                vision_config=only(self._vision, _VISION.split()),
                image_token_id=self.image_id,
                tie_word_embeddings=tied,
            )
        )
        if self._defers_final_norm:
            reader = mllm.model.language_model
            reader.norm = _DeferredNorm(reader.config.hidden_size, reader.config.rms_norm_eps)
        return mllm

    def published_tensor(self, name: str) -> PublishedTensor:
        """Map to the name with the prefix `model.`."""
        return PublishedTensor(f"model.{name}")

    def preprocess(self, pixels: Pixels, max_tiles: int) -> Tensor:
        """Resize an image to a size within the budget; there are no tiles."""
        del max_tiles
        size = smart_resize(pixels.shape[0], pixels.shape[1], self._cell, PIXELS)
        return normalise(bicubic(pixels, *size)[None], self._version.mean, self._version.std)

    def token_count(self, height: int, width: int) -> int:
        """Return the number of image tokens: each covers a cell of `_cell` x `_cell` pixels."""
        return height // self._cell * (width // self._cell)

    def encode_images(self, mllm: Any, pixels: Tensor) -> ImageFeatures:
        """Encode B images of the same size."""
        grid = torch.tensor([[1, *(side // self._patch for side in pixels.shape[2:])]], device=pixels.device)
        grids = grid.expand(len(pixels), -1)
        features = mllm.model.get_image_features(self._patches(pixels), grids, return_dict=True)
        return ImageFeatures(
            patches=features.last_hidden_state.unflatten(0, (len(pixels), -1)),
            tokens=torch.stack(list(features.pooler_output)),
            deepstack=tuple(
                torch.stack(list(level)) for level in getattr(features, "deepstack_features", None) or ()
            ),
        )

    def token_logits(self, mllm: Any, hidden: Tensor) -> Tensor:
        """Apply the language model's head, in Qwen3-VL after the final norm, which `make` deferred."""
        if self._defers_final_norm:
            hidden = mllm.model.language_model.norm.normalise(hidden)
        logits: Tensor = mllm.lm_head(hidden)
        return logits

    def position_ids(self, ids: Sequence[int], image_id: int, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Return position ids (3, P): equal on all axes for text; an image extends along height and width,
        and text continues after the larger of the two (Qwen2-VL, arXiv 2409.12191, §2.1)."""
        cells = iter([(height // self._cell, width // self._cell) for height, width in sizes])
        return torch.cat(list(_runs(ids, image_id, cells)), dim=1)

    def _patches(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) → (patches of all images, 3 * frames * patch * patch): cells row by row, patches row
        by row within a cell; the image is repeated for all frames of a temporal patch."""
        merge, patch = self._vision.get("spatial_merge_size", 2), self._patch
        batch, channels, height, width = pixels.shape
        rows, columns = height // (patch * merge), width // (patch * merge)
        cut = pixels.view(batch, channels, rows, merge, patch, columns, merge, patch)
        cut = cut.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6)
        return cut.expand(*(-1,) * 6, self._vision.get("temporal_patch_size", 2), -1, -1).reshape(
            batch * rows * columns * merge * merge, -1
        )

    @property
    def _defers_final_norm(self) -> bool:
        """Whether hidden states are taken before the final norm: Sa2VA with Qwen3-VL was trained so.

        transformers 4.57, which Sa2VA pins, returns them so for Qwen3-VL but for no other published family.
        """
        return self._version is VERSIONS["qwen3_vl"]

    @property
    def _version(self) -> Version:
        kind = str(part(self.config, "text_config").get("model_type", "")).removesuffix("_text")
        if kind not in VERSIONS:
            raise CheckpointError(
                f"A checkpoint of Sa2VAChatModelQwen with language model {kind or 'none'} is not read here.",
                remedy=f"Known: {', '.join(VERSIONS)}.",
            )
        return VERSIONS[kind]

    @property
    def _vision(self) -> Config:
        return part(self.config, "vision_config")

    @property
    def _patch(self) -> int:
        return int(self._vision.get("patch_size", 14 if self._version is VERSIONS["qwen2_5_vl"] else 16))

    @property
    def _cell(self) -> int:
        """Side in pixels of the cell that one image token covers."""
        return self._patch * int(self._vision.get("spatial_merge_size", 2))


class _DeferredNorm(Qwen3VLTextRMSNorm):
    """A final norm that `forward` skips and `token_logits` applies. Its weight keeps its name."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return the hidden states unchanged."""
        return hidden_states

    def normalise(self, hidden_states: Tensor) -> Tensor:
        """Apply the norm."""
        normed: Tensor = super().forward(hidden_states)
        return normed


def _runs(ids: Sequence[int], image_id: int, cells: Iterator[tuple[int, int]]) -> Iterator[Tensor]:
    start = 0
    for is_image, run in itertools.groupby(ids, key=image_id.__eq__):
        count = len(list(run))
        if is_image:
            rows, columns = next(cells)
            assert rows * columns == count
            cell = torch.arange(count)
            yield torch.stack([torch.zeros_like(cell), cell // columns, cell % columns]) + start
            start += max(rows, columns)
        else:
            yield torch.arange(start, start + count).expand(3, -1)
            start += count


def _rope(text: Config) -> dict[str, Any]:
    scaling = text.get("rope_parameters") or text.get("rope_scaling") or {}
    theta: float = scaling.get("rope_theta") or text.get("rope_theta") or 1_000_000.0
    sections = only(scaling, ["mrope_section", "mrope_interleaved"])
    return {"rope_type": "default", "rope_theta": float(theta), **sections}
