"""Who learns: nano's grounder as it is before its first lesson, and the heads that only training has."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import Sam2Model

from engines.grounding.checkpoints import Sa2Va, build, image_tokens
from engines.grounding.model import SaModel
from engines.grounding.structure import RefinementKind
from engines.grounding.templates import make_template
from lab.training.device import training_device
from lab.training.init_weights import waken
from lab.training.losses import Helpers
from lab.training.nano_config import PROMPT_WIDTH, READER_WIDTH, VISION_WIDTH, grounder_config
from lab.training.tokenizer import nano_tokenizer

PROMPT_GAIN: Final = 8.0
"""A prompt quieter than the mask decoder's own tokens is overheard: J after 90 steps on frozen features was
0.14 with a gain of 1, 0.44 with 3 (one run each)."""


@dataclass(frozen=True, slots=True, eq=False)
class Pupil:
    """A grounder with the heads that only training has."""

    grounder: Sa2Va
    helpers: Helpers

    @property
    def model(self) -> SaModel:
        """What is exported."""
        return self.grounder.model


def fresh_pupil(number: int) -> Pupil:
    """With the first weights of a run of that number, on the device that trains."""
    device = training_device()
    pupil = Pupil(fresh_grounder(number), fresh_helpers(number).to(device))
    pupil.model.to(device)
    return pupil


def fresh_grounder(seed: int = 0) -> Sa2Va:
    """Nano's grounder with weights to start from."""
    torch.manual_seed(seed)
    tokenizer = nano_tokenizer()
    config = grounder_config(tokenizer.get_vocab_size())
    template = make_template(tokenizer, image_tokens(config))
    model = build(config, template.image_id)
    # "eager" shows its attention, which is taught; in bfloat16 it is also the faster one on CPUs here.
    model.mllm.set_attn_implementation("eager")
    model.segmenter.set_attn_implementation("eager")
    with torch.no_grad():
        model.mllm.model.vision_tower.embeddings.position_embeddings[0, 1:] = 0.3 * _waves(16, VISION_WIDTH)
        model.text_hidden_fcs.get_parameter("2.weight").mul_(PROMPT_GAIN)
        _begin(model.segmenter)
    return Sa2Va(model, template, config)


def refined(pupil: Pupil, kind: RefinementKind | None) -> Pupil:
    """The same pupil, about to learn a refinement, which its config names; as it is without one."""
    if kind is None:
        return pupil
    grounder = pupil.grounder
    grounder.model.add_refinement(kind)
    return replace(pupil, grounder=replace(grounder, config={**grounder.config, "structure": kind.value}))


def inherit(sam: Sam2Model, tracker: dict[str, Tensor]) -> None:
    """Give a SAM-2 that draws what one that follows has learnt: its eyes, and how to fill an outline.

    Not how its decoder listens: it never heard of a place, its prompts were memories. What stands for a place
    stays as it is too, since the language model has learnt to say it. The decoder of a tracker has drawn one
    mask for each thing: its other three begin as copies of that.
    """
    known = sam.state_dict()
    heard = ("mask_decoder.transformer.", "shared_image_embedding.", "prompt_encoder.")
    kept = {name: w for name, w in tracker.items() if name in known and not name.startswith(heard)}
    sam.load_state_dict(kept, strict=False)
    decoder: Any = sam.mask_decoder
    with torch.no_grad():
        decoder.mask_tokens.weight[1:] = decoder.mask_tokens.weight[0]
        for hypernetwork in decoder.output_hypernetworks_mlps[1:]:
            hypernetwork.load_state_dict(decoder.output_hypernetworks_mlps[0].state_dict())


def _begin(sam: Sam2Model) -> None:
    """First weights of SAM-2's part, in which a prompt is heard at once."""
    waken(sam)
    backbone = sam.vision_encoder.backbone
    for free in (backbone.pos_embed, backbone.pos_embed_window, sam.no_memory_embedding):
        nn.init.normal_(free, std=0.1)
    # One set of positions in the published layout, two modules here.
    shared = sam.shared_image_embedding.positional_embedding
    sam.prompt_encoder.shared_embedding.positional_embedding.copy_(shared)
    # Alike projections look where they point: a token with a place's code attends to that place at once.
    transformer: Any = sam.mask_decoder.transformer
    for attention in (
        *(layer.cross_attn_token_to_image for layer in transformer.layers),
        transformer.final_attn_token_to_image,
    ):
        attention.k_proj.load_state_dict(attention.q_proj.state_dict())


def fresh_helpers(seed: int = 0) -> Helpers:
    """The heads that only training has."""
    torch.manual_seed(seed)
    return Helpers(patch_width=VISION_WIDTH, reader_width=READER_WIDTH, prompt_width=PROMPT_WIDTH)


def _waves(side: int, width: int) -> Tensor:
    """(side * side, width) sines and cosines of x and y: neighbours begin alike."""
    index = torch.arange(side * side)
    angle = math.pi * torch.stack([index % side, index // side], dim=1)[:, :, None] / side
    angle = angle * torch.linspace(0.5, 8, width // 4)
    return torch.cat([angle.sin(), angle.cos()], dim=2).flatten(1)
