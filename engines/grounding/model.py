"""Sa2VA: an InternVL that says `[SEG]`, and a SAM-2 that draws what it said.

Three parts, all transformers' own modules: `mllm` (InternVL), `text_hidden_fcs` (hidden state at `[SEG]`
→ prompt embedding), `segmenter` (SAM-2's image encoder and mask decoder without memory). Source: Sa2VA
(arXiv 2501.04001), bytedance/Sa2VA `projects/sa2va/hf/models/modeling_sa2va_chat.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import InternVLConfig, InternVLForConditionalGeneration, Sam2Config, Sam2Model

from engines.grounding.packing import Packed
from engines.grounding.structure import Refinement, RefinementKind, Words, draw_twice, make_refinement

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


def normalise(pictures: NDArray[np.uint8]) -> Tensor:
    """(B, H, W, 3) uint8 RGB → (B, 3, H, W) float32, ImageNet-normalised, as both InternVL and SAM-2
    want it."""
    mean, std = torch.tensor(IMAGE_MEAN) * 255, torch.tensor(IMAGE_STD) * 255
    return ((torch.from_numpy(pictures).float() - mean) / std).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A picture as the language model sees it; shared by every question about it."""

    patches: Tensor
    "(B, P, C) patch states of the vision tower, row by row, without the class token."
    tokens: Tensor
    "(B, T, D) image tokens of the language model, row by row."


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What the language model made of packed questions."""

    hidden: Tensor
    "(B, S, D), after the final norm."
    attentions: tuple[Tensor, ...]
    "Per layer (B, heads, S, S); empty unless asked for."
    states: tuple[Tensor, ...]
    "What goes into each layer, (B, S, D); empty unless asked for."


class PatchStem(nn.Module):
    """A convolutional patch embedding: strides of 2 down to the patch grid instead of one wide stride.

    nano only: from scratch it learns shapes several times faster than the plain projection (Xiao et al.,
    arXiv 2106.14881). `widths` are the channels after each halving of the size, the last one the tower's
    own.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        first, *rest = widths
        # 4 x 4 pixels folded into channels: a stride-4 convolution that CPUs run as a matrix product.
        layers: list[nn.Module] = [
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, first, kernel_size=1),
            nn.GELU(),
            _Residual(first),
        ]
        for before, after in zip(widths[:-1], rest, strict=True):
            layers += [nn.GroupNorm(1, before), nn.Conv2d(before, after, 3, 2, 1), nn.GELU()]
            layers += [_Residual(after)] if after != widths[-1] else []
        layers.append(nn.Conv2d(widths[-1], widths[-1], kernel_size=1))
        self.layers = nn.Sequential(*layers)

    @property
    def weight(self) -> Tensor:
        """Stands for the plain projection's weight, of which callers ask the dtype."""
        first = self.layers[1]
        assert isinstance(first, nn.Conv2d)
        return first.weight

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, C, H / stride, W / stride)."""
        grid: Tensor = self.layers(pixels)
        return grid


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.conv = nn.Conv2d(width, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + nn.functional.gelu(self.conv(self.norm(x)))


class SaModel(nn.Module):
    """Pictures and packed questions in; hidden states, prompt embeddings and mask logits out."""

    def __init__(
        self, mllm_config: InternVLConfig, sam_config: Sam2Config, stem_widths: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        self.mllm = InternVLForConditionalGeneration(mllm_config)
        self.segmenter = Sam2Model(sam_config)
        if stem_widths:
            self.mllm.model.vision_tower.embeddings.patch_embeddings.projection = PatchStem(stem_widths)
        width = self.mllm.lm_head.in_features
        prompt_width = self.segmenter.hidden_dim
        self.text_hidden_fcs = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, prompt_width), nn.Dropout(0.0)
        )
        self.structure: Refinement | None = None

    def refine_by(self, kind: RefinementKind) -> None:
        """Draw twice from now on, by an untrained refinement, which changes nothing yet."""
        self.structure = make_refinement(kind, self.segmenter.hidden_dim).to(self.mllm.device)

    def look(self, pixels: Tensor) -> Look:
        """(B, 3, H, W) float, ImageNet-normalised, at the vision tower's size."""
        seen = self.mllm.model.get_image_features(pixels, return_dict=True)
        return Look(patches=seen.last_hidden_state[:, 1:], tokens=seen.pooler_output)

    def read(self, tokens: Tensor, packed: Packed, *, inside: bool = False) -> Reading:
        """One prefill over image tokens (B, T, D), of all pictures of the prefix, and what is packed behind.

        To see `inside`, the language model's attention implementation has to be "eager".
        """
        language = self.mllm.model.language_model
        embedded = language.embed_tokens(packed.ids)
        image = packed.ids == self.mllm.config.image_token_id
        embedded = embedded.masked_scatter(image[..., None], tokens.to(embedded.dtype))
        out = language(
            inputs_embeds=embedded,
            attention_mask={"full_attention": packed.bias.to(embedded.dtype)},
            position_ids=packed.positions,
            use_cache=False,
            output_attentions=inside,
            output_hidden_states=inside,
        )
        states = tuple(out.hidden_states or ())[:-1]
        return Reading(out.last_hidden_state, tuple(out.attentions or ()), states)

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """(…, D) → (…, vocabulary) log-probabilities of the next token, float32."""
        scores: Tensor = self.mllm.lm_head(hidden)
        return scores.float().log_softmax(dim=-1)

    def embeddings(self, hidden: Tensor) -> Tensor:
        """Hidden states at `[SEG]` (…, D) → prompt embeddings (…, E)."""
        prompts: Tensor = self.text_hidden_fcs(hidden)
        return prompts

    def words(self, hidden: Tensor, rows: Tensor, begins: Tensor, segs: Tensor) -> Words:
        """What was said of N things: in rows of hidden states (B, S, D), from `begins` up to their `[SEG]`s,
        each (N,) int64."""
        heard = self.embeddings(hidden)
        ends = zip(rows.tolist(), begins.tolist(), segs.tolist(), strict=True)
        return Words.padded([heard[row, begin:end] for row, begin, end in ends], heard[rows, segs])

    def maps(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) normalised → SAM-2's feature maps, strides 4, 8 and 16: each (B, E, h, w)."""
        return tuple(self.segmenter.vision_encoder(pixels, return_dict=True).fpn_hidden_states)

    def segment(
        self, maps: tuple[Tensor, ...], prompts: Tensor, words: Words | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw prompt embeddings (B, K, E) on feature maps: (B, K, 3, h, w) logits, (B, K, 3) predicted
        IoU. `words`, of all B * K, are needed where there is a refinement.

        Memory-less, as Sa2VA's decoder was tuned: stride-16 features + no_memory_embedding, and the
        sparse tokens [not a point, not a point, prompt].
        """
        sam = self.segmenter
        batch, count, _ = prompts.shape
        fine = [sam.mask_decoder.conv_s0(maps[0]), sam.mask_decoder.conv_s1(maps[1])]
        decode = partial(
            self._decode, [one.repeat_interleave(count, dim=0) for one in fine], prompts.flatten(0, 1)
        )
        coarse = (maps[2] + sam.no_memory_embedding.view(1, -1, 1, 1)).repeat_interleave(count, dim=0)
        if self.structure is None:
            masks, quality = decode(coarse)
        else:
            assert words is not None
            masks, quality = draw_twice(decode, self.structure, coarse, words)
        return masks.view(batch, count, *masks.shape[1:]), quality.view(batch, count, -1)

    def _decode(self, fine: list[Tensor], prompts: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Each of N prompts on maps of its own."""
        sam, count = self.segmenter, len(prompts)
        blank = sam.prompt_encoder.not_a_point_embed.weight.expand(count, 2, -1)
        masks, quality, *_ = sam.mask_decoder(
            image_embeddings=coarse,
            image_positional_embeddings=sam.get_image_wide_positional_embeddings().expand(count, -1, -1, -1),
            sparse_prompt_embeddings=torch.cat([blank, prompts[:, None]], dim=1)[:, None],
            dense_prompt_embeddings=sam.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1),
            multimask_output=True,
            high_resolution_features=fine,
        )
        return masks[:, 0], quality[:, 0]


def best_mask(masks: Tensor, quality: Tensor) -> Tensor:
    """(…, 3, h, w) and predicted IoU (…, 3) → (…, h, w): the mask the decoder trusts most."""
    choice = quality.argmax(dim=-1)[..., None, None, None]
    return masks.gather(-3, choice.expand(*masks.shape[:-3], 1, *masks.shape[-2:])).squeeze(-3)
