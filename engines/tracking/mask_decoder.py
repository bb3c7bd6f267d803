"""SAM-2's mask decoder: an object's features and its prompt -> a mask, how good it is, and who it is.

The decoder proposes four masks: one for prompts that leave no doubt, and three readings of a prompt that may
mean a thing, its part or its whole. Which is taken is a type: `Single`, `BestOfThree`, `StableOrBest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.tracking.families import TrackerModel
from engines.tracking.memory_attention import attend_by_head, per_object, places_of


class Candidates(NamedTuple):
    """What the decoder proposes: K of its four masks."""

    masks: Tensor
    "(B, K, 4h, 4w) logits"
    ious: Tensor
    "(B, K), 0..1"
    tokens: Tensor
    "(B, K, C)"
    score: Tensor
    '(B,) logit of "the object is in the picture"'


class Chosen(NamedTuple):
    """One mask per object."""

    mask: Tensor
    "(B, 4h, 4w)"
    iou: Tensor
    "(B,)"
    token: Tensor
    "(B, C): the object pointer is made of it."


class Choice(Protocol):
    """Which of the decoder's masks is taken."""

    wanted: ClassVar[slice]
    "Those of the four that it looks at; 0 is the single one, 1..3 are the readings."

    def __call__(self, given: Candidates) -> Chosen:
        """Take one of the masks `wanted`."""
        ...


@dataclass(frozen=True, slots=True)
class Single:
    """The first mask, whatever it looks like."""

    wanted: ClassVar[slice] = slice(0, 1)

    def __call__(self, given: Candidates) -> Chosen:
        """See `Choice`."""
        return Chosen(given.masks[:, 0], given.ious[:, 0], given.tokens[:, 0])


@dataclass(frozen=True, slots=True)
class BestOfThree:
    """The reading that the decoder itself believes in most."""

    wanted: ClassVar[slice] = slice(1, None)

    def __call__(self, given: Candidates) -> Chosen:
        """See `Choice`."""
        masks, ious, tokens, _ = given
        best = ious.argmax(dim=1, keepdim=True)
        chosen = functional.one_hot(best, ious.shape[1]).to(masks.dtype)  # (B, 1, 3): a matmul picks the best
        mask = (chosen @ masks.flatten(2)).reshape(-1, masks.shape[2], masks.shape[3])
        return Chosen(mask, (chosen @ ious[:, :, None]).flatten(), (chosen @ tokens)[:, 0])


@dataclass(frozen=True, slots=True)
class StableOrBest:
    """The single mask where it is stable, else the best reading (mask_decoder.py,
    `_dynamic_multimask_via_stability`); the token is the single mask's in both cases."""

    delta: float
    "Logits: a mask is stable where the thresholds -delta and delta give about the same."
    threshold: float
    "IoU of those two, 0..1."
    wanted: ClassVar[slice] = slice(None)

    def __call__(self, given: Candidates) -> Chosen:
        """See `Choice`."""
        single = Single()(given)
        best = BestOfThree()(readings(given))
        inner = (single.mask > self.delta).float().mean(dim=(1, 2))
        outer = (single.mask > -self.delta).float().mean(dim=(1, 2))
        # Where nothing is drawn at all, nothing changes either.
        stable = (outer == 0) | (inner / outer.clamp(min=1e-9) >= self.threshold)
        return Chosen(
            torch.where(stable[:, None, None], single.mask, best.mask),
            torch.where(stable, single.iou, best.iou),
            single.token,
        )


def readings(given: Candidates) -> Candidates:
    """The three readings among all four masks."""
    return Candidates(given.masks[:, 1:], given.ious[:, 1:], given.tokens[:, 1:], given.score)


def without_doubt(config: Any) -> Choice:
    """How a model of this configuration takes a mask where it does not ask for readings."""
    decoder = config.mask_decoder_config
    if decoder.dynamic_multimask_via_stability:
        return StableOrBest(
            decoder.dynamic_multimask_stability_delta, decoder.dynamic_multimask_stability_thresh
        )
    return Single()


class Heads(nn.Module):
    """The mask decoder with its image-wide positions, and the pointer head."""

    positions: Tensor

    def __init__(self, model: TrackerModel) -> None:
        super().__init__()
        self.decoder = model.mask_decoder
        self.not_a_point = model.prompt_encoder.not_a_point_embed
        self.project = model.object_pointer_proj
        self.no_pointer = model.no_object_pointer
        with torch.no_grad():
            positions = model.get_image_wide_positional_embeddings()
        self.register_buffer("positions", positions.clone(), persistent=False)

    def forward(
        self, seen: Tensor, levels: tuple[Tensor, Tensor], dense: Tensor, choice: Choice
    ) -> tuple[Chosen, Tensor]:
        """Decode without points: seen (B, h·w, C), levels (mid, fine), dense prompt (1 or B, C, h, w) or
        (1, C, 1, 1); and the score (B,)."""
        # No point is two "not a point" tokens: the empty prompt and its padding.
        sparse = self.not_a_point.weight.expand(2, -1)
        given = self.propose(seen + places_of(dense), levels, sparse, None, choice.wanted)
        return choice(given), given.score

    def propose(
        self,
        seen: Tensor,
        levels: tuple[Tensor, Tensor],
        sparse: Tensor,
        sparse_bias: Tensor | None,
        wanted: slice,
    ) -> Candidates:
        """SAM-2's mask decoder.

        seen (B, h·w, C) with the dense prompt added; levels (mid, fine) of the picture(s); sparse (T, C) or
        (B, T, C) prompt tokens; sparse_bias (B, T), 0 or a hidden slot's key bias, None where all are filled;
        wanted: which of the four masks.
        """
        decoder = self.decoder
        own = torch.cat(
            [decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight]
        )
        bias = None
        if sparse_bias is not None:
            bias = functional.pad(sparse_bias, (own.shape[0], 0))[:, None]
        tokens = torch.cat([own.expand(*sparse.shape[:-2], -1, -1), sparse], dim=-2)
        tokens = tokens.reshape(-1, *tokens.shape[-2:])
        tokens, image = _two_way(decoder.transformer, tokens, seen, places_of(self.positions), bias)
        mask_tokens = tokens[:, 2 : 2 + decoder.num_mask_tokens][:, wanted]
        mlps = list(decoder.output_hypernetworks_mlps)[wanted]
        weights = torch.stack([mlp(mask_tokens[:, k]) for k, mlp in enumerate(mlps)], dim=1)
        cells = weights @ _enlarged(decoder, image, levels).transpose(1, 2)
        height, width = (side // 2 for side in levels[0].shape[2:])
        masks = _apart(_apart(cells.reshape(-1, height, width, 16))).reshape(
            -1, cells.shape[1], 4 * height, 4 * width
        )
        ious = decoder.iou_prediction_head(tokens[:, 1])[:, wanted]
        return Candidates(masks, ious, mask_tokens, decoder.pred_obj_score_head(tokens[:, 0])[:, 0])

    def pointer(self, token: Tensor, present: Tensor) -> Tensor:
        """Object pointer (B, C) of a mask token; the learnt one where the object is away."""
        return torch.where(present[:, None], self.project(token), self.no_pointer)


def _enlarged(decoder: Any, image: Tensor, levels: tuple[Tensor, Tensor]) -> Tensor:
    """Places (B, n, C) four times as fine, with the finer levels of the picture: (B, 16 n, C/8).

    The 4 cells that a convolution makes of a place, and the 16 that the next one makes of them, stay one
    after the other: only masks are put in the picture's order. Where feature maps are put in it at each step,
    as upstream's, nano's four objects take 7.1 instead of 6.4 ms, one in float32 3.9 instead of 3.4 (one
    thread).
    """
    objects, places, norm = image.shape[0], image.shape[1], decoder.upscale_layer_norm
    mid, fine = (_together(level.permute(0, 2, 3, 1)) for level in levels)
    mid, fine = (per_object(level.flatten(1, 2), objects) for level in (mid, _together(fine)))
    x = (_quartered(decoder.upscale_conv1, image) + mid).reshape(objects, 4 * places, -1)
    x = functional.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
    x = _quartered(decoder.upscale_conv2, decoder.activation(x)) + fine.reshape(objects, 4 * places, -1)
    return decoder.activation(x).reshape(objects, 16 * places, -1)  # type: ignore[no-any-return]


def _quartered(convolution: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """A transposed convolution of 2 × 2 cells, of places (B, n, C) -> (B, n, 4 C'), cells row by row."""
    assert convolution.bias is not None
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)
    return functional.linear(x, weight, convolution.bias.repeat(4))


def _together(x: Tensor) -> Tensor:
    """(N, H, W, C) -> (N, H/2, W/2, 4 C): the cells of each square of 2 × 2, row by row."""
    count, height, width, channels = x.shape
    squares = x.reshape(count, height // 2, 2, width // 2, 2, channels).transpose(2, 3)
    return squares.reshape(count, height // 2, width // 2, 4 * channels)


def _apart(x: Tensor) -> Tensor:
    """What `_together` put together."""
    _, height, width, channels = x.shape
    cells = x.reshape(-1, height, width, 2, 2, channels // 4).transpose(2, 3)
    return cells.reshape(-1, 2 * height, 2 * width, channels // 4)


def _two_way(
    transformer: Any, tokens: Tensor, image: Tensor, positions: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`Sam2VideoTwoWayTransformer`, which knows no hidden tokens: tokens (B or 1, T, C), image (B, n, C),
    positions (1, n, C), bias (B, 1, T) on the tokens as keys -> tokens, image."""
    queries, keys = tokens, image
    for layer in transformer.layers:
        asked = queries if layer.skip_first_layer_pe else queries + tokens
        read = _read(layer.self_attn, asked, asked, queries, bias)
        queries = layer.layer_norm1(read if layer.skip_first_layer_pe else queries + read)
        # Tokens that all objects share have looked at each other once, not for each.
        queries = queries.expand(image.shape[0], -1, -1)
        read = _read(layer.cross_attn_token_to_image, queries + tokens, keys + positions, keys)
        queries = layer.layer_norm2(queries + read)
        queries = layer.layer_norm3(queries + layer.mlp(queries))
        read = _read(layer.cross_attn_image_to_token, keys + positions, queries + tokens, queries, bias)
        keys = layer.layer_norm4(keys + read)
    read = _read(transformer.final_attn_token_to_image, queries + tokens, keys + positions, keys)
    return transformer.layer_norm_final_attn(queries + read), keys


def _read(attention: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """`Sam2VideoAttention` of one prompt of each object: (B, Q, C)."""
    mapped = attention.q_proj(query), attention.k_proj(key), attention.v_proj(value)
    return attention.o_proj(attend_by_head(*mapped, bias, attention.num_attention_heads))  # type: ignore[no-any-return]
