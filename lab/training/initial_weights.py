"""Initial weights of nano's tracker and grounder: random, in scales that narrow layers can learn from."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import Sam2Model, Sam2VideoModel

from engines.grounding.checkpoints import Sa2Va, build, image_tokens, load_sa2va
from engines.grounding.model import SaModel
from engines.grounding.templates import make_template
from engines.tracking.checkpoints import load_tracker_weights
from lab.training.nano_config import PATCH_GRID, VISION_WIDTH, grounder_config, tracker_config
from lab.training.tokenizer import nano_tokenizer
from streaming.errors import CheckpointError

PROMPT_GAIN: Final = 8.0
"""Factor on the last layer of `text_hidden_fcs`. Prompt embeddings that are smaller than the mask decoder's
own tokens have no effect at first: J after 90 steps on frozen features was 0.14 with a gain of 1, 0.44 with 3
(one run each)."""

VISION_TOWER: Final = "mllm.model.vision_tower."
"Prefix of the vision tower's weights in a grounder."
_EMBEDDINGS: Final = ("mllm.model.language_model.embed_tokens.weight", "mllm.lm_head.weight")
_TEMPORAL: Final = "memory_temporal_positional_encoding"


@torch.no_grad()
def init_layers(model: nn.Module) -> None:
    """Set the weights of all linear, convolution and embedding layers, in place; norms stay.

    The standard deviation of a layer is 1 / sqrt(fan in), of embeddings 0.5. transformers' 0.02 makes the
    outputs of layers as narrow as nano's almost zero.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            # A transposed convolution's weight is (in, out, k, k); SAM-2's windows do not overlap.
            transposed = isinstance(module, nn.ConvTranspose2d)
            fan_in = module.weight.shape[0] if transposed else module.weight[0].numel()
            nn.init.trunc_normal_(module.weight, std=fan_in**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.5)


# --- tracker --------------------------------------------------------------------------------------


def initial_tracker(seed: int = 0) -> Sam2VideoModel:
    """Make nano's tracker with random weights, on the CPU.

    Three properties that cost hundreds of steps to learn are set from the start: features have a standard
    deviation of 1, the mask has as much influence on a memory as the image, and memory attention prefers the
    same position (`_prefer_same_position`).
    """
    torch.manual_seed(seed)
    model: Any = Sam2VideoModel(tracker_config())
    init_layers(model)
    with torch.no_grad():
        backbone = model.vision_encoder.backbone
        free = [backbone.pos_embed, backbone.pos_embed_window, model.memory_temporal_positional_encoding]
        free += [
            model.no_object_pointer,
            model.no_memory_embedding,
            model.occlusion_spatial_embedding_parameter,
        ]
        for parameter in free:
            nn.init.normal_(parameter, std=0.1)
        for conv in model.vision_encoder.neck.convs:
            conv.weight.mul_(0.35)
        encoder = model.memory_encoder
        encoder.feature_projection.weight.mul_(0.7)
        encoder.mask_downsampler.final_conv.weight.mul_(1.5)
        for block in encoder.memory_fuser.layers:
            block.scale.fill_(0.2)
        for layer in model.memory_attention.layers:
            _prefer_same_position(layer.cross_attn_image)
        model.mask_downsample.weight.fill_(1 / 16)
        _share_positional_embedding(model)
    return model  # type: ignore[no-any-return]


def tracker_from(name_or_path: str) -> Sam2VideoModel:
    """Load a tracker to go on from, on the CPU, with as many memories as `tracker_config` has.

    Temporal encodings of memories that the checkpoint lacks start as copies of its oldest. Raises NotFound,
    and CheckpointError, also where the checkpoint is not of nano's shape or has more memories.
    """
    stored = load_tracker_weights(name_or_path).model
    model = Sam2VideoModel(tracker_config())
    weights = stored.state_dict()
    # Row k is of the memory k + 1 frames ago; the last row is of conditioning memories.
    rows = weights[_TEMPORAL]
    missing = model.state_dict()[_TEMPORAL].shape[0] - rows.shape[0]
    if missing < 0:
        raise CheckpointError(f"{name_or_path} has {-missing} more memories than nano.")
    weights[_TEMPORAL] = torch.cat([rows[:-1], rows[-2:-1].expand(missing, -1, -1, -1), rows[-1:]])
    try:
        model.load_state_dict(weights)
    except RuntimeError as exc:
        raise CheckpointError(f"{name_or_path} is not of nano's shape.") from exc
    return model


def _prefer_same_position(attention: Any) -> None:
    """Make rotary attention score memory tokens of the query's own position highest.

    With one constant b in the first of each rotated pair of query and key, the score of two positions d apart
    is the sum of b² cos(θ d): highest at d = 0. Only the pairs of high frequency (θ > 0.05 per position)
    distinguish distances on a 16×16 map.
    """
    axis = attention.q_proj.weight.shape[0] // 2
    high_frequency = torch.arange(0, 22, 2)
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight.mul_(0.5)
        projection.bias[torch.cat([high_frequency, axis + high_frequency])] = 3.0


def _share_positional_embedding(sam: Any) -> None:
    """Copy the positional embedding to the prompt encoder: one tensor in the published layout, two in
    transformers' modules."""
    shared = sam.shared_image_embedding.positional_embedding
    sam.prompt_encoder.shared_embedding.positional_embedding.copy_(shared)


# --- grounder -------------------------------------------------------------------------------------


def initial_grounder(seed: int = 0) -> Sa2Va:
    """Make nano's grounder with random weights, on the CPU."""
    torch.manual_seed(seed)
    tokenizer = nano_tokenizer()
    config = grounder_config(tokenizer.get_vocab_size())
    template = make_template(tokenizer, image_tokens(config))
    model = build(config, template.image_id)
    # "eager" returns attention weights, which a loss supervises; in bfloat16 it is also the fastest on CPUs.
    model.mllm.set_attn_implementation("eager")
    model.segmenter.set_attn_implementation("eager")
    with torch.no_grad():
        positions = model.mllm.model.vision_tower.embeddings.position_embeddings
        positions[0, 1:] = 0.3 * _sine_position_embeddings(PATCH_GRID, VISION_WIDTH)
        model.text_hidden_fcs.get_parameter("2.weight").mul_(PROMPT_GAIN)
        _init_segmenter(model.segmenter)
    return Sa2Va(model, template, config)


@torch.no_grad()
def copy_language(model: SaModel, name_or_path: str) -> None:
    """Copy all weights of a trained grounder but its vision tower's into a model of nano's shape.

    The trained vocabulary is the beginning of nano's (`tokenizer.nano_tokenizer`): further words keep their
    initial embeddings. Raises what `load_sa2va` raises, CheckpointError also for another shape.
    """
    own, trained = model.state_dict(), load_sa2va(name_or_path).model.state_dict()
    copied = {name: w for name, w in trained.items() if not name.startswith(VISION_TOWER)}
    for name, weight in copied.items():
        target = own.get(name)
        is_vocabulary = name in _EMBEDDINGS and target is not None and len(weight) <= len(target)
        if target is None or not (target.shape == weight.shape or is_vocabulary):
            raise CheckpointError(f"{name_or_path} is not of nano's shape: {name}.")
        target[: len(weight)].copy_(weight) if weight.ndim else target.copy_(weight)


def _init_segmenter(sam: Sam2Model) -> None:
    """Set the weights of the SAM-2 without memory so that prompt embeddings have an effect at once."""
    init_layers(sam)
    backbone = sam.vision_encoder.backbone
    for parameter in (backbone.pos_embed, backbone.pos_embed_window, sam.no_memory_embedding):
        nn.init.normal_(parameter, std=0.1)
    _share_positional_embedding(sam)
    # With equal query and key projections, a token that contains the positional embedding of a position
    # attends to that position.
    transformer: Any = sam.mask_decoder.transformer
    for attention in (
        *(layer.cross_attn_token_to_image for layer in transformer.layers),
        transformer.final_attn_token_to_image,
    ):
        attention.k_proj.load_state_dict(attention.q_proj.state_dict())


def _sine_position_embeddings(side: int, width: int) -> Tensor:
    """Return (side * side, width) sines and cosines of x and y: neighbours have similar embeddings."""
    index = torch.arange(side * side)
    angle = math.pi * torch.stack([index % side, index // side], dim=1)[:, :, None] / side
    angle = angle * torch.linspace(0.5, 8, width // 4)
    return torch.cat([angle.sin(), angle.cos()], dim=2).flatten(1)
