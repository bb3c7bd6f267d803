"""Sa2VA's network: a multimodal language model whose `[SEG]` hidden states prompt SAM-2's mask decoder.

Three parts, all transformers' own modules: `mllm` (of a family), `text_hidden_fcs` (hidden state at `[SEG]`
→ `[SEG]` embedding), `segmenter` (SAM-2's image encoder, and its mask decoder without memory). Source: Sa2VA
(arXiv 2501.04001), bytedance/Sa2VA `projects/sa2va/hf/models/modeling_sa2va_chat.py`.

Shapes: B images or rows, S packed tokens, T image tokens, D the language model's width, E SAM-2's width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from transformers import DynamicCache, Sam2Config, Sam2Model

from engines.grounding.families.base import Family
from engines.grounding.families.base import ImageFeatures as ImageFeatures
from engines.grounding.image_processing import normalise as normalise
from engines.grounding.packing import Packed
from engines.grounding.structure import Expressions, Refinement, RefinementKind, decode_twice, make_refinement
from engines.grounding.weight_layout import SEGMENTER, PublishedTensor

_MLLM = "mllm."


@dataclass(frozen=True, slots=True, eq=False)
class LanguageModelInputs:
    """Inputs of the language model for S tokens."""

    embeds: Tensor
    "(B, S, D)."
    position_ids: Tensor
    "(B, S) int64, or (A, B, S) on A axes."
    attention_bias: Tensor | None = None
    "(B, 1, S, cached + S), added to attention scores; None: every earlier token is attended to."
    image_mask: Tensor | None = None
    "(B, S) bool: True at image tokens; None: there is none."
    deepstack: tuple[Tensor, ...] = ()
    "Each (T, D): added to all image tokens after each of the first layers."


@dataclass(frozen=True, slots=True, eq=False)
class LanguageModelOutput:
    """Output of the language model for packed questions."""

    hidden: Tensor
    "(B, S, D), after the final norm."
    attentions: tuple[Tensor, ...]
    "Per layer (B, heads, S, S); empty unless asked for."
    layer_inputs: tuple[Tensor, ...]
    "Input of each layer, (B, S, D); empty unless asked for."


class SaModel(nn.Module):
    """Images and packed questions in; hidden states, `[SEG]` embeddings and mask logits out."""

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

    def add_refinement(self, kind: RefinementKind) -> None:
        """Add an untrained refinement; until it is trained, masks do not change."""
        self.structure = make_refinement(kind, self.segmenter.hidden_dim).to(self.mllm.device)

    def published_tensor(self, name: str) -> PublishedTensor:
        """Return where a tensor of the model, other than SAM-2's, is in a published checkpoint."""
        assert not name.startswith(SEGMENTER)
        if name.startswith(_MLLM):
            return self.family.published_tensor(name.removeprefix(_MLLM))
        return PublishedTensor(name)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        device: torch.device = self.mllm.device
        return device

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """Encode images or tiles (B, 3, H, W) float, as `family.preprocess` makes them."""
        return self.family.encode_images(self.mllm, pixels.to(self.device))

    def prefill(
        self, image_tokens: Tensor, packed: Packed, *, output_internals: bool = False
    ) -> LanguageModelOutput:
        """Read packed questions behind image tokens (B, T, D) in one prefill without a KV cache.

        For families whose position ids have one axis. `output_internals` (attentions and layer inputs) needs
        the attention implementation "eager".
        """
        embeds, _ = self.embed(packed.ids, image_tokens)
        out = self.mllm.model.language_model(
            inputs_embeds=embeds,
            attention_mask={"full_attention": packed.bias.to(embeds.dtype)},
            position_ids=packed.positions,
            use_cache=False,
            output_attentions=output_internals,
            output_hidden_states=output_internals,
        )
        layer_inputs = tuple(out.hidden_states or ())[:-1]
        return LanguageModelOutput(out.last_hidden_state, tuple(out.attentions or ()), layer_inputs)

    def embed(self, ids: Tensor, image_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Embed ids (B, S), with image tokens (B, T, D) at the positions of the image token's id.

        Returns the embeddings (B, S, D) and the mask of image tokens (B, S) bool.
        """
        embeds = self.mllm.model.language_model.embed_tokens(ids)
        image_mask = ids == self.mllm.config.image_token_id
        return embeds.masked_scatter(image_mask[..., None], image_tokens.to(embeds.dtype)), image_mask

    def forward_cached(self, inputs: LanguageModelInputs, kv_cache: DynamicCache) -> Tensor:
        """Read tokens behind those in the KV cache and add them to it: (B, S, D) hidden states."""
        deepstack = {}
        if inputs.deepstack:
            deepstack = {
                "visual_pos_masks": inputs.image_mask,
                "deepstack_visual_embeds": list(inputs.deepstack),
            }
        bias = inputs.attention_bias
        hidden: Tensor = self.mllm.model.language_model(
            inputs_embeds=inputs.embeds,
            attention_mask=None if bias is None else bias.to(inputs.embeds.dtype),
            position_ids=inputs.position_ids,
            past_key_values=kv_cache,
            use_cache=True,
            **deepstack,
        ).last_hidden_state
        return hidden

    def token_logits(self, hidden: Tensor) -> Tensor:
        """Hidden states (…, D) → logits of the next token (…, vocabulary)."""
        return self.family.token_logits(self.mllm, hidden)

    def token_log_probs(self, hidden: Tensor) -> Tensor:
        """Hidden states (…, D) → log-probabilities of the next token (…, vocabulary), float32."""
        return self.token_logits(hidden).float().log_softmax(dim=-1)

    def seg_embeddings(self, hidden: Tensor) -> Tensor:
        """Hidden states at `[SEG]` (…, D) → `[SEG]` embeddings (…, E)."""
        first = self.text_hidden_fcs[0]
        assert isinstance(first, nn.Linear)
        embeddings: Tensor = self.text_hidden_fcs(hidden.to(first.weight.dtype))
        return embeddings

    def expressions(self, hidden: Tensor, rows: Tensor, begins: Tensor, segs: Tensor) -> Expressions:
        """Project the expressions of N objects, out of hidden states (B, S, D).

        Object n is described in row `rows[n]` by the tokens from `begins[n]` up to its `[SEG]` at `segs[n]`;
        each argument (N,) int64.
        """
        projected = self.seg_embeddings(hidden)
        spans = zip(rows.tolist(), begins.tolist(), segs.tolist(), strict=True)
        return Expressions.padded(
            [projected[row, begin:end] for row, begin, end in spans], projected[rows, segs]
        )

    def feature_maps(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) normalised → SAM-2's feature maps at strides 4, 8 and 16, each (B, E, h, w)."""
        encoder = self.segmenter.vision_encoder
        pixels = pixels.to(self.device, encoder.dtype)
        return tuple(encoder(pixels, return_dict=True).fpn_hidden_states)

    def decode_masks(
        self, feature_maps: tuple[Tensor, ...], segs: Tensor, expressions: Expressions | None = None
    ) -> tuple[Tensor, Tensor]:
        """Decode `[SEG]` embeddings (B, K, E) on feature maps: (B, K, 3, h, w) logits, (B, K, 3) predicted
        IoU. `expressions`, of all B * K objects, are needed if the model has a refinement.

        Without memory, as Sa2VA's decoder was tuned: stride-16 features + no_memory_embedding, and the
        sparse tokens [not a point, not a point, `[SEG]` embedding].
        """
        sam = self.segmenter
        batch, count, _ = segs.shape
        fine = [sam.mask_decoder.conv_s0(feature_maps[0]), sam.mask_decoder.conv_s1(feature_maps[1])]
        decode = partial(
            self._decode, [level.repeat_interleave(count, dim=0) for level in fine], segs.flatten(0, 1)
        )
        coarse = (feature_maps[2] + sam.no_memory_embedding.view(1, -1, 1, 1)).repeat_interleave(count, dim=0)
        if self.structure is None:
            masks, predicted_iou = decode(coarse)
        else:
            assert expressions is not None
            masks, predicted_iou = decode_twice(decode, self.structure, coarse, expressions)
        return masks.view(batch, count, *masks.shape[1:]), predicted_iou.view(batch, count, -1)

    def _decode(self, fine: list[Tensor], segs: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Decode N `[SEG]` embeddings, each on its own feature maps."""
        sam, count = self.segmenter, len(segs)
        not_a_point = sam.prompt_encoder.not_a_point_embed.weight.expand(count, 2, -1)
        masks, predicted_iou, *_ = sam.mask_decoder(
            image_embeddings=coarse,
            image_positional_embeddings=sam.get_image_wide_positional_embeddings().expand(count, -1, -1, -1),
            sparse_prompt_embeddings=torch.cat([not_a_point, segs[:, None]], dim=1)[:, None],
            dense_prompt_embeddings=sam.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1),
            multimask_output=True,
            high_resolution_features=fine,
        )
        return masks[:, 0], predicted_iou[:, 0]


def best_mask(masks: Tensor, predicted_iou: Tensor) -> Tensor:
    """(…, 3, h, w) and predicted IoU (…, 3) → (…, h, w): the mask with the highest predicted IoU."""
    choice = predicted_iou.argmax(dim=-1)[..., None, None, None]
    return masks.gather(-3, choice.expand(*masks.shape[:-3], 1, *masks.shape[-2:])).squeeze(-3)
