"""The trainable grounder of stages `vision`, `grounding` and `decoder`: nano and its auxiliary heads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import Sam2Model

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.model import SaModel
from engines.grounding.structure import RefinementKind
from lab.training.device import training_device
from lab.training.initial_weights import initial_grounder
from lab.training.losses import AuxiliaryHeads
from lab.training.nano_config import LANGUAGE_WIDTH, PROMPT_WIDTH, VISION_WIDTH


@dataclass(frozen=True, slots=True, eq=False)
class TrainableGrounder:
    """A grounder with the heads that exist only in training."""

    grounder: Sa2Va
    heads: AuxiliaryHeads

    @property
    def model(self) -> SaModel:
        """The modules that are exported."""
        return self.grounder.model


def trainable_grounder(seed: int) -> TrainableGrounder:
    """Make nano with initial weights and its auxiliary heads, on the training device."""
    device = training_device()
    trainable = TrainableGrounder(initial_grounder(seed), initial_heads(seed).to(device))
    trainable.model.to(device)
    return trainable


def initial_heads(seed: int = 0) -> AuxiliaryHeads:
    """Make the auxiliary heads of nano with random weights, on the CPU."""
    torch.manual_seed(seed)
    return AuxiliaryHeads(vision_width=VISION_WIDTH, language_width=LANGUAGE_WIDTH, prompt_width=PROMPT_WIDTH)


def add_refinement(trainable: TrainableGrounder, kind: RefinementKind | None) -> TrainableGrounder:
    """Add an untrained mask refinement to the model and name it in the config; None adds nothing."""
    if kind is None:
        return trainable
    grounder = trainable.grounder
    grounder.model.add_refinement(kind)
    config = {**grounder.config, "structure": kind.value}
    return replace(trainable, grounder=replace(grounder, config=config))


def copy_tracker_weights(sam: Sam2Model, tracker: dict[str, Tensor]) -> None:
    """Copy a tracker's image encoder and mask output layers into the SAM-2 of a grounder.

    `tracker` is the state dict of a `Sam2VideoModel`. Not copied are the mask decoder's transformer, which
    has only decoded memories and never a prompt embedding, and the positional embedding, because the language
    model has learnt to predict that of this SAM-2 (`losses.token_position_loss`). A tracker has trained one
    mask token; the three of multimask output start as copies of it.
    """
    own = sam.state_dict()
    excluded = ("mask_decoder.transformer.", "shared_image_embedding.", "prompt_encoder.")
    copied = {name: w for name, w in tracker.items() if name in own and not name.startswith(excluded)}
    sam.load_state_dict(copied, strict=False)
    decoder: Any = sam.mask_decoder
    with torch.no_grad():
        decoder.mask_tokens.weight[1:] = decoder.mask_tokens.weight[0]
        for hypernetwork in decoder.output_hypernetworks_mlps[1:]:
            hypernetwork.load_state_dict(decoder.output_hypernetworks_mlps[0].state_dict())
