"""The Qwen family: Sa2VA-Qwen2_5-VL-3B and 7B, Sa2VA-Qwen3-VL-4B.

Published as `model.*`, which is transformers' own module whole. Pictures keep their shape, within a budget
of pixels; positions have three axes (time, height, width); Qwen3-VL adds features of earlier vision layers
to the image tokens behind its first layers (DeepStack, arXiv 2406.04334), and its `[SEG]` is read before the
language model's last norm.

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

from engines.grounding.families.base import TEXT_KEYS, Config, Look, Marks, only, part
from engines.grounding.image_processing import bicubic, normalise, within
from engines.grounding.weight_layout import Place
from streaming.errors import CheckpointError
from streaming.vocabulary import Pixels

PIXELS: Final = (512 * 28 * 28, 2048 * 28 * 28)
"Least and most of a picture, as Sa2VA calls its processor; the same for Qwen3-VL, whose cells have 32 px."
_VISION: Final = (
    "depth hidden_size hidden_act intermediate_size num_heads in_channels patch_size spatial_merge_size "
    "temporal_patch_size out_hidden_size window_size fullatt_block_indexes tokens_per_second "
    "num_position_embeddings deepstack_visual_indexes initializer_range"
)


@dataclass(frozen=True)
class Generation:
    """What differs between Qwen2.5-VL and Qwen3-VL."""

    config: type
    module: type
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


GENERATIONS: Final = {
    "qwen2_5_vl": Generation(
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
    ),
    "qwen3_vl": Generation(Qwen3VLConfig, Qwen3VLForConditionalGeneration, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


@dataclass(frozen=True)
class Qwen:
    """A `family.Family` by a published config.json."""

    config: Config
    image_id: int

    @property
    def marks(self) -> Marks:
        """Qwen-VL's own."""
        return Marks("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")

    def make(self) -> Any:
        """Qwen2_5_VLForConditionalGeneration or Qwen3VLForConditionalGeneration."""
        generation, tied = self._generation, self.config.get("tie_word_embeddings", False)
        text = part(self.config, "text_config")
        native_text = only(text, [key for key in TEXT_KEYS if key not in ("rope_theta", "rope_scaling")])
        mllm = generation.module(
            generation.config(
                text_config={**native_text, "rope_parameters": _rope(text), "tie_word_embeddings": tied},
                vision_config=only(self._vision, _VISION.split()),
                image_token_id=self.image_id,
                tie_word_embeddings=tied,
            )
        )
        if self._norm_is_the_heads:
            reader = mllm.model.language_model
            reader.norm = _LateNorm(reader.config.hidden_size, reader.config.rms_norm_eps)
        return mllm

    def place(self, name: str) -> Place:
        """Inside of `model`."""
        return Place(f"model.{name}")

    def prepare(self, pixels: Pixels, tiles: int) -> Tensor:
        """One picture of a size within the budget; there are no tiles."""
        del tiles
        size = within(pixels.shape[0], pixels.shape[1], self._cell, PIXELS)
        return normalise(bicubic(pixels, *size)[None], self._generation.mean, self._generation.std)

    def tokens(self, height: int, width: int) -> int:
        """One of every cell."""
        return height // self._cell * (width // self._cell)

    def look(self, mllm: Any, pixels: Tensor) -> Look:
        """Each of B pictures of one size."""
        grid = torch.tensor([[1, *(side // self._patch for side in pixels.shape[2:])]], device=pixels.device)
        grids = grid.expand(len(pixels), -1)
        seen = mllm.model.get_image_features(self._patches(pixels), grids, return_dict=True)
        return Look(
            patches=seen.last_hidden_state.unflatten(0, (len(pixels), -1)),
            tokens=torch.stack(list(seen.pooler_output)),
            deep=tuple(torch.stack(list(level)) for level in getattr(seen, "deepstack_features", None) or ()),
        )

    def scores(self, mllm: Any, hidden: Tensor) -> Tensor:
        """By the head, in Qwen3-VL behind the norm that the language model left to it."""
        if self._norm_is_the_heads:
            hidden = mllm.model.language_model.norm.normed(hidden)
        logits: Tensor = mllm.lm_head(hidden)
        return logits

    def axes(self, ids: Sequence[int], image_id: int, looked: Sequence[tuple[int, int]]) -> Tensor:
        """(3, P): text counts on all axes alike; a picture spreads over height and width from where it
        begins, and text goes on behind the larger of them (Qwen2-VL, arXiv 2409.12191, §2.1)."""
        cells = iter([(height // self._cell, width // self._cell) for height, width in looked])
        return torch.cat(list(_runs(ids, image_id, cells)), dim=1)

    def _patches(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) → (patches of all, 3 * frames * patch * patch): cells row by row, inside of each its
        patches row by row; a still picture is shown for all frames of a patch."""
        merge, patch = self._vision.get("spatial_merge_size", 2), self._patch
        batch, channels, height, width = pixels.shape
        rows, columns = height // (patch * merge), width // (patch * merge)
        cut = pixels.view(batch, channels, rows, merge, patch, columns, merge, patch)
        cut = cut.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6)
        return cut.expand(*(-1,) * 6, self._vision.get("temporal_patch_size", 2), -1, -1).reshape(
            batch * rows * columns * merge * merge, -1
        )

    @property
    def _norm_is_the_heads(self) -> bool:
        """Sa2VA with Qwen3-VL was trained, and is run, on hidden states from before the last norm.

        transformers 4.57, which it pins, gave them out so for this model and for no other of the published.
        """
        return self._generation is GENERATIONS["qwen3_vl"]

    @property
    def _generation(self) -> Generation:
        kind = str(part(self.config, "text_config").get("model_type", "")).removesuffix("_text")
        if kind not in GENERATIONS:
            raise CheckpointError(
                f"A checkpoint of Sa2VAChatModelQwen with language model {kind or 'none'} is not read here.",
                remedy=f"Known: {', '.join(GENERATIONS)}.",
            )
        return GENERATIONS[kind]

    @property
    def _vision(self) -> Config:
        return part(self.config, "vision_config")

    @property
    def _patch(self) -> int:
        return int(
            self._vision.get("patch_size", 14 if self._generation is GENERATIONS["qwen2_5_vl"] else 16)
        )

    @property
    def _cell(self) -> int:
        """Pixels along the side of what one image token stands for."""
        return self._patch * int(self._vision.get("spatial_merge_size", 2))


class _LateNorm(Qwen3VLTextRMSNorm):
    """A last norm that is passed by, and applied by whoever needs it. Its weight keeps its name."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """As they are."""
        return hidden_states

    def normed(self, hidden_states: Tensor) -> Tensor:
        """As they would have been."""
        normed: Tensor = super().forward(hidden_states)
        return normed


def _runs(ids: Sequence[int], image_id: int, cells: Iterator[tuple[int, int]]) -> Iterator[Tensor]:
    start = 0
    for is_picture, run in itertools.groupby(ids, key=image_id.__eq__):
        count = len(list(run))
        if is_picture:
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
