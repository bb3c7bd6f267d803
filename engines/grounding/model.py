"""Sa2VA: a multimodal language model that says `[SEG]`, and a SAM-2 that draws what it said.

Three parts, all transformers' own modules: `mllm` (of a family), `text_hidden_fcs` (hidden state at `[SEG]`
→ prompt embedding), `segmenter` (SAM-2's image encoder and mask decoder without memory). Source: Sa2VA
(arXiv 2501.04001), bytedance/Sa2VA `projects/sa2va/hf/models/modeling_sa2va_chat.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from transformers import DynamicCache, Sam2Config, Sam2Model

from engines.grounding.families.base import Family
from engines.grounding.families.base import Look as Look
from engines.grounding.image_processing import normalise as normalise
from engines.grounding.packing import Packed
from engines.grounding.structure import Refinement, RefinementKind, Words, draw_twice, make_refinement
from engines.grounding.weight_layout import SEGMENTER, Place

_MLLM = "mllm."


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """A stretch of S tokens as the language model takes them in."""

    embedded: Tensor
    "(B, S, D)."
    positions: Tensor
    "(B, S) int64, or (A, B, S) on A axes."
    bias: Tensor | None = None
    "(B, 1, S, S and what is remembered), added to attention; None where everything before is seen."
    pictured: Tensor | None = None
    "(B, S) bool: the image tokens; None where there is none."
    deep: tuple[Tensor, ...] = ()
    "Each (T, D): added to all image tokens behind each of the first layers."


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What the language model made of packed questions."""

    hidden: Tensor
    "(B, S, D), after the final norm."
    attentions: tuple[Tensor, ...]
    "Per layer (B, heads, S, S); empty unless asked for."
    states: tuple[Tensor, ...]
    "What goes into each layer, (B, S, D); empty unless asked for."


class SaModel(nn.Module):
    """Pictures and packed questions in; hidden states, prompt embeddings and mask logits out."""

    def __init__(self, family: Family, sam_config: Sam2Config) -> None:
        super().__init__()
        self.family = family
        self.mllm = family.make()
        self.segmenter = Sam2Model(sam_config)
        width = self.mllm.lm_head.in_features
        prompt_width = self.segmenter.hidden_dim
        self.text_hidden_fcs = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, prompt_width), nn.Dropout(0.0)
        )
        self.structure: Refinement | None = None

    def refine_by(self, kind: RefinementKind) -> None:
        """Draw twice from now on, by an untrained refinement, which changes nothing yet."""
        self.structure = make_refinement(kind, self.segmenter.hidden_dim).to(self.mllm.device)

    def place(self, name: str) -> Place:
        """Where one of these tensors, SAM-2's apart, is in a published checkpoint."""
        assert not name.startswith(SEGMENTER)
        return self.family.place(name.removeprefix(_MLLM)) if name.startswith(_MLLM) else Place(name)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        device: torch.device = self.mllm.device
        return device

    def look(self, pixels: Tensor) -> Look:
        """(B, 3, H, W) float, as the family prepares them."""
        return self.family.look(self.mllm, pixels.to(self.device))

    def read(self, tokens: Tensor, packed: Packed, *, inside: bool = False) -> Reading:
        """One prefill over image tokens (B, T, D), of all pictures of the prefix, and what is packed behind.

        For families that count positions. To see `inside`, the language model's attention implementation has
        to be "eager".
        """
        embedded, _ = self.embed(packed.ids, tokens)
        out = self.mllm.model.language_model(
            inputs_embeds=embedded,
            attention_mask={"full_attention": packed.bias.to(embedded.dtype)},
            position_ids=packed.positions,
            use_cache=False,
            output_attentions=inside,
            output_hidden_states=inside,
        )
        states = tuple(out.hidden_states or ())[:-1]
        return Reading(out.last_hidden_state, tuple(out.attentions or ()), states)

    def embed(self, ids: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S) ids, with image tokens (B, T, D) in their places: (B, S, D), and which these are: (B, S)
        bool."""
        embedded = self.mllm.model.language_model.embed_tokens(ids)
        image = ids == self.mllm.config.image_token_id
        return embedded.masked_scatter(image[..., None], tokens.to(embedded.dtype)), image

    def go_on(self, written: Written, memory: DynamicCache) -> Tensor:
        """Read on, behind what `memory` holds, which then holds this too: (B, S, D) hidden states."""
        deep = {}
        if written.deep:
            deep = {"visual_pos_masks": written.pictured, "deepstack_visual_embeds": list(written.deep)}
        hidden: Tensor = self.mllm.model.language_model(
            inputs_embeds=written.embedded,
            attention_mask=None if written.bias is None else written.bias.to(written.embedded.dtype),
            position_ids=written.positions,
            past_key_values=memory,
            use_cache=True,
            **deep,
        ).last_hidden_state
        return hidden

    def scores(self, hidden: Tensor) -> Tensor:
        """(…, D) hidden states → (…, vocabulary) logits of the next token."""
        return self.family.scores(self.mllm, hidden)

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """The same as log-probabilities, float32."""
        return self.scores(hidden).float().log_softmax(dim=-1)

    def embeddings(self, hidden: Tensor) -> Tensor:
        """Hidden states at `[SEG]` (…, D) → prompt embeddings (…, E)."""
        first = self.text_hidden_fcs[0]
        assert isinstance(first, nn.Linear)
        prompts: Tensor = self.text_hidden_fcs(hidden.to(first.weight.dtype))
        return prompts

    def words(self, hidden: Tensor, rows: Tensor, begins: Tensor, segs: Tensor) -> Words:
        """What was said of N things: in rows of hidden states (B, S, D), from `begins` up to their `[SEG]`s,
        each (N,) int64."""
        heard = self.embeddings(hidden)
        ends = zip(rows.tolist(), begins.tolist(), segs.tolist(), strict=True)
        return Words.padded([heard[row, begin:end] for row, begin, end in ends], heard[rows, segs])

    def maps(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) normalised → SAM-2's feature maps, strides 4, 8 and 16: each (B, E, h, w)."""
        eyes = self.segmenter.vision_encoder
        pixels = pixels.to(self.device, eyes.dtype)
        return tuple(eyes(pixels, return_dict=True).fpn_hidden_states)

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
