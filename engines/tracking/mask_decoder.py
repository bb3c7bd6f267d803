"""SAM-2's mask decoder: features and a prompt of each object -> mask, predicted IoU, object score, object
pointer.

The decoder outputs four masks: a single mask, for unambiguous prompts, and three multimask outputs, for a
prompt that may mean a whole object or a part. A `MaskSelection` picks one of them: `SingleMask`,
`BestOfMultimask` or `StableOrBestMask`.

Shapes: B objects, C channels, h·w places of the stride-16 feature map, T prompt tokens, K of the four masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.tracking.families import TrackerModel
from engines.tracking.memory_attention import multi_head_attention, per_object, to_tokens


class MaskCandidates(NamedTuple):
    """K of the decoder's four masks."""

    masks: Tensor
    "(B, K, 4h, 4w) logits."
    ious: Tensor
    "(B, K) predicted IoUs, 0..1."
    tokens: Tensor
    "(B, K, C) mask tokens."
    object_score: Tensor
    "(B,) logit of presence."


class ChosenMask(NamedTuple):
    """The selected mask of each object."""

    mask: Tensor
    "(B, 4h, 4w) logits."
    iou: Tensor
    "(B,) predicted IoU, 0..1."
    token: Tensor
    "(B, C) mask token, from which the object pointer is projected."


class MaskSelection(Protocol):
    """Selects one of the decoder's masks."""

    wanted: ClassVar[slice]
    "The masks that it needs: 0 is the single mask, 1..3 are the multimask outputs."

    def __call__(self, candidates: MaskCandidates) -> ChosenMask:
        """Select one of the masks `wanted`."""


@dataclass(frozen=True, slots=True)
class SingleMask:
    """Selects the single mask."""

    wanted: ClassVar[slice] = slice(0, 1)

    def __call__(self, candidates: MaskCandidates) -> ChosenMask:
        """See `MaskSelection`."""
        return ChosenMask(candidates.masks[:, 0], candidates.ious[:, 0], candidates.tokens[:, 0])


@dataclass(frozen=True, slots=True)
class BestOfMultimask:
    """Selects the multimask output with the highest predicted IoU."""

    wanted: ClassVar[slice] = slice(1, None)

    def __call__(self, candidates: MaskCandidates) -> ChosenMask:
        """See `MaskSelection`."""
        masks, ious, tokens, _ = candidates
        best = ious.argmax(dim=1, keepdim=True)
        chosen = functional.one_hot(best, ious.shape[1]).to(masks.dtype)  # (B, 1, 3): a matmul picks the best
        mask = (chosen @ masks.flatten(2)).reshape(-1, masks.shape[2], masks.shape[3])
        return ChosenMask(mask, (chosen @ ious[:, :, None]).flatten(), (chosen @ tokens)[:, 0])


@dataclass(frozen=True, slots=True)
class StableOrBestMask:
    """Selects the single mask where it is stable, else the best multimask output (mask_decoder.py,
    `_dynamic_multimask_via_stability`). The token is the single mask's in both cases."""

    delta: float
    "Logits: a mask is stable if the thresholds -delta and delta give nearly the same mask."
    threshold: float
    "Least IoU of those two masks, 0..1."
    wanted: ClassVar[slice] = slice(None)

    def __call__(self, candidates: MaskCandidates) -> ChosenMask:
        """See `MaskSelection`."""
        single = SingleMask()(candidates)
        best = BestOfMultimask()(multimask_candidates(candidates))
        inner = (single.mask > self.delta).float().mean(dim=(1, 2))
        outer = (single.mask > -self.delta).float().mean(dim=(1, 2))
        # An empty mask is stable.
        stable = (outer == 0) | (inner / outer.clamp(min=1e-9) >= self.threshold)
        return ChosenMask(
            torch.where(stable[:, None, None], single.mask, best.mask),
            torch.where(stable, single.iou, best.iou),
            single.token,
        )


def multimask_candidates(candidates: MaskCandidates) -> MaskCandidates:
    """Return the three multimask outputs among all four masks."""
    masks, ious, tokens, object_score = candidates
    return MaskCandidates(masks[:, 1:], ious[:, 1:], tokens[:, 1:], object_score)


def single_mask_selection(config: Any) -> MaskSelection:
    """Return the selection of a model of this configuration when it does not ask for multimask output."""
    decoder = config.mask_decoder_config
    if decoder.dynamic_multimask_via_stability:
        return StableOrBestMask(
            decoder.dynamic_multimask_stability_delta, decoder.dynamic_multimask_stability_thresh
        )
    return SingleMask()


class SamHeads(nn.Module):
    """The mask decoder and the object pointer projection (sam2_base.py, `_forward_sam_heads`)."""

    positions: Tensor

    def __init__(self, model: TrackerModel) -> None:
        super().__init__()
        self.decoder = model.mask_decoder
        self.not_a_point = model.prompt_encoder.not_a_point_embed
        self.project = model.object_pointer_proj
        self.no_obj_ptr = model.no_object_pointer
        with torch.no_grad():
            positions = model.get_image_wide_positional_embeddings()
        self.register_buffer("positions", positions.clone(), persistent=False)

    def forward(
        self, features: Tensor, levels: tuple[Tensor, Tensor], dense: Tensor, selection: MaskSelection
    ) -> tuple[ChosenMask, Tensor]:
        """Decode without points; returns the selected masks and the object scores (B,).

        features (B, h·w, C); levels (high_res_s1, high_res_s0); dense prompt (1 or B, C, h, w) or
        (1, C, 1, 1).
        """
        # Without points SAM-2 has two "not a point" tokens: the empty prompt and its padding.
        sparse = self.not_a_point.weight.expand(2, -1)
        candidates = self.decode(features + to_tokens(dense), levels, sparse, None, selection.wanted)
        return selection(candidates), candidates.object_score

    def decode(
        self,
        features: Tensor,
        levels: tuple[Tensor, Tensor],
        sparse: Tensor,
        sparse_bias: Tensor | None,
        wanted: slice,
    ) -> MaskCandidates:
        """Run the mask decoder.

        features (B, h·w, C) with the dense prompt added; levels (high_res_s1, high_res_s0) of the image(s);
        sparse (T, C) or (B, T, C) prompt tokens; sparse_bias (B, T) attention bias, 0 or EMPTY_SLOT, None
        where all tokens are used; wanted: which of the four masks.
        """
        decoder = self.decoder
        output = torch.cat(
            [decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight]
        )
        bias = None
        if sparse_bias is not None:
            bias = functional.pad(sparse_bias, (output.shape[0], 0))[:, None]
        tokens = torch.cat([output.expand(*sparse.shape[:-2], -1, -1), sparse], dim=-2)
        tokens = tokens.reshape(-1, *tokens.shape[-2:])
        tokens, image = _two_way(decoder.transformer, tokens, features, to_tokens(self.positions), bias)
        mask_tokens = tokens[:, 2 : 2 + decoder.num_mask_tokens][:, wanted]
        mlps = list(decoder.output_hypernetworks_mlps)[wanted]
        weights = torch.stack([mlp(mask_tokens[:, k]) for k, mlp in enumerate(mlps)], dim=1)
        cells = weights @ _upscaled(decoder, image, levels).transpose(1, 2)
        height, width = (side // 2 for side in levels[0].shape[2:])
        masks = _depth_to_space(_depth_to_space(cells.reshape(-1, height, width, 16))).reshape(
            -1, cells.shape[1], 4 * height, 4 * width
        )
        ious = decoder.iou_prediction_head(tokens[:, 1])[:, wanted]
        return MaskCandidates(masks, ious, mask_tokens, decoder.pred_obj_score_head(tokens[:, 0])[:, 0])

    def obj_ptr(self, token: Tensor, present: Tensor) -> Tensor:
        """Project mask tokens (B, C) to object pointers (B, C); `no_obj_ptr` where not present (B,) bool."""
        return torch.where(present[:, None], self.project(token), self.no_obj_ptr)


def _upscaled(decoder: Any, image: Tensor, levels: tuple[Tensor, Tensor]) -> Tensor:
    """Upscale tokens (B, n, C) four times and add the high-resolution levels: (B, 16 n, C/8).

    The 4 cells that the first transposed convolution makes of a place, and the 16 of both, stay adjacent;
    only the masks are brought into image order. With feature maps in image order after each step, as
    upstream, four objects of nano take 7.1 instead of 6.4 ms, one object in float32 3.9 instead of 3.4 (one
    thread).
    """
    objects, places, norm = image.shape[0], image.shape[1], decoder.upscale_layer_norm
    high_res_s1, high_res_s0 = (_space_to_depth(level.permute(0, 2, 3, 1)) for level in levels)
    high_res_s1, high_res_s0 = (
        per_object(level.flatten(1, 2), objects) for level in (high_res_s1, _space_to_depth(high_res_s0))
    )
    x = (_transposed_conv(decoder.upscale_conv1, image) + high_res_s1).reshape(objects, 4 * places, -1)
    x = functional.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
    x = _transposed_conv(decoder.upscale_conv2, decoder.activation(x))
    x = x + high_res_s0.reshape(objects, 4 * places, -1)
    return decoder.activation(x).reshape(objects, 16 * places, -1)  # type: ignore[no-any-return]


def _transposed_conv(convolution: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """Apply a 2 × 2 transposed convolution of stride 2 to tokens (B, n, C) -> (B, n, 4 C'), cells row by
    row."""
    assert convolution.bias is not None
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)
    return functional.linear(x, weight, convolution.bias.repeat(4))


def _space_to_depth(x: Tensor) -> Tensor:
    """(N, H, W, C) -> (N, H/2, W/2, 4 C): the cells of each square of 2 × 2, row by row."""
    count, height, width, channels = x.shape
    squares = x.reshape(count, height // 2, 2, width // 2, 2, channels).transpose(2, 3)
    return squares.reshape(count, height // 2, width // 2, 4 * channels)


def _depth_to_space(x: Tensor) -> Tensor:
    """Invert `_space_to_depth`."""
    _, height, width, channels = x.shape
    cells = x.reshape(-1, height, width, 2, 2, channels // 4).transpose(2, 3)
    return cells.reshape(-1, 2 * height, 2 * width, channels // 4)


def _two_way(
    transformer: Any, tokens: Tensor, image: Tensor, positions: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Run `Sam2VideoTwoWayTransformer`, with a bias that hides unused tokens.

    tokens (B or 1, T, C), image (B, n, C), positions (1, n, C), bias (B, 1, T) on tokens as keys. Returns
    tokens (B, T, C), image (B, n, C).
    """
    queries, keys = tokens, image
    for layer in transformer.layers:
        query = queries if layer.skip_first_layer_pe else queries + tokens
        attended = _attention(layer.self_attn, query, query, queries, bias)
        queries = layer.layer_norm1(attended if layer.skip_first_layer_pe else queries + attended)
        # The first self-attention of tokens that all objects share is computed once.
        queries = queries.expand(image.shape[0], -1, -1)
        attended = _attention(layer.cross_attn_token_to_image, queries + tokens, keys + positions, keys)
        queries = layer.layer_norm2(queries + attended)
        queries = layer.layer_norm3(queries + layer.mlp(queries))
        attended = _attention(
            layer.cross_attn_image_to_token, keys + positions, queries + tokens, queries, bias
        )
        keys = layer.layer_norm4(keys + attended)
    attended = _attention(transformer.final_attn_token_to_image, queries + tokens, keys + positions, keys)
    return transformer.layer_norm_final_attn(queries + attended), keys


def _attention(
    attention: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Run `Sam2VideoAttention` with one prompt per object: (B, Q, C)."""
    projected = attention.q_proj(query), attention.k_proj(key), attention.v_proj(value)
    return attention.o_proj(multi_head_attention(*projected, bias, attention.num_attention_heads))  # type: ignore[no-any-return]
