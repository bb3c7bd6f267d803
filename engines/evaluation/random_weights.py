"""Published SAM-2s and EdgeTAM with random weights, to time and to compare what is computed.

How long a frame takes does not depend on weights. What is seen does, so they are made to keep signals at a
deviation of about 1 through every layer: masks have edges, memories matter, and whoever computes something
else draws another mask. Trained weights tell more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from engines.tracking.checkpoints import NAMED, TrackerWeights, load_tracker_weights, save_tracker
from engines.tracking.families import (
    FAMILY_NAMES,
    PUBLISHED_PX,
    family_config,
    model_of,
    published_config,
    resized,
)
from engines.tracking.files import CONFIG_FILE
from engines.tracking.naming import from_official
from streaming.errors import CheckpointError, Conflict, InvalidSettings, NotFound

BLUNT: Final = 0.35
"""Of memory attention's products. Sharper, a random network is chaos: what rounding changes in a memory grows
tenfold with every frame."""
PRESENCE: Final = 4.0
"Around what object scores are: a random one has one sign for good, and what counts as absent has no mask."

_OF_RANDOM: Final = f"Of random weights there are {', '.join(FAMILY_NAMES)}."
_FUSED_POSITION: Final = "_pos_embed_1024_nhwc"
_BACKBONE: Final = "vision_encoder.backbone."


def bench_weights(name_or_path: str | Path, side_px: int | None = None) -> TrackerWeights:
    """Random weights for one of `families.FAMILY_NAMES`; a .safetensors file, `completed`; else as
    `load_tracker_weights`, which see. Raises as that does; NotFound lists the names."""
    if str(name_or_path) in FAMILY_NAMES:
        return random_tracker(str(name_or_path), side_px or PUBLISHED_PX)
    path = Path(name_or_path).expanduser()
    if path.suffix == ".safetensors" and path.is_file():
        return completed(path, side_px or PUBLISHED_PX)
    try:
        return load_tracker_weights(name_or_path, side_px)
    except NotFound as exc:
        raise NotFound(exc.message, remedy=f"{exc.remedy} {_OF_RANDOM}") from exc


def random_tracker(name: str, side_px: int = PUBLISHED_PX, seed: int = 0) -> TrackerWeights:
    """A published model of that name (`families.FAMILY_NAMES`), the same for the same arguments.

    Raises InvalidSettings where the model takes no pictures of that side.
    """
    model: Any = model_of(resized(family_config(name), side_px))
    waken(model, seed)
    return TrackerWeights(name, model.eval().requires_grad_(False))


def write_random_tracker(name: str, folder: Path) -> int:
    """Write `random_tracker(name)` as a checkpoint's folder; returns how many parameters it has.

    Raises Conflict where the folder has a checkpoint, InvalidSettings for a name that is not one of them.
    """
    if (folder / CONFIG_FILE).exists():
        raise Conflict(f"{folder} holds a checkpoint already.", remedy="Name a new folder.")
    if name not in FAMILY_NAMES:
        raise InvalidSettings(
            f"{name} is no tracker known here.", remedy=f"Choose of {', '.join(FAMILY_NAMES)}."
        )
    model = random_tracker(name).model
    save_tracker(model, folder)
    return sum(parameter.numel() for parameter in model.parameters())


def completed(path: Path, side_px: int = PUBLISHED_PX) -> TrackerWeights:
    """A SAM-2 of which a file holds a part under official names, its picture encoder at least; the rest is
    random, so what is remembered means nothing.

    `_pos_embed_1024_nhwc`: the sum of the encoder's two positional embeddings, for pictures of 1024 px.
    Raises CheckpointError for other tensors, InvalidSettings for another side where that sum is all there is.
    """
    tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    position = tensors.pop(_FUSED_POSITION, None)
    config: Any = published_config(tensors)
    if position is not None:
        if side_px != PUBLISHED_PX:
            raise InvalidSettings(f"{path.name} is for pictures of {PUBLISHED_PX} px alone.")
        side = position.shape[1]
        config.vision_config.backbone_config.window_positional_embedding_background_size = [side, side]
    model: Any = model_of(resized(config, side_px))
    waken(model)
    wanted = model.state_dict()
    given, left = from_official(wanted, tensors)
    if left:
        raise CheckpointError(f"{path.name} holds tensors of no SAM-2: {', '.join(sorted(left)[:NAMED])}.")
    if position is not None:
        given[f"{_BACKBONE}pos_embed"] = position.permute(0, 3, 1, 2)
        given[f"{_BACKBONE}pos_embed_window"] = torch.zeros_like(wanted[f"{_BACKBONE}pos_embed_window"])
    model.load_state_dict({**wanted, **given})
    return TrackerWeights(path.stem, model.eval().requires_grad_(False))


@torch.no_grad()
def waken(model: nn.Module, seed: int = 0) -> None:
    """Fill a SAM-2 or EdgeTAM with seeded numbers, none of them trivial."""
    generator = torch.Generator().manual_seed(seed)
    owners = dict(model.named_modules())
    for name, tensor in model.named_parameters():
        owner = owners[name.rpartition(".")[0]]
        noise = torch.randn(tensor.shape, generator=generator)
        tensor.copy_(_filled(owner, name.rpartition(".")[2], noise) * _gain(name))
    parts: Any = model
    parts.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(PRESENCE)
    # One matrix in the official models, of two modules here.
    matrix = parts.prompt_encoder.shared_embedding.positional_embedding
    matrix.copy_(torch.randn(matrix.shape, generator=generator))
    parts.shared_image_embedding.positional_embedding.copy_(matrix)


def _filled(owner: nn.Module, name: str, noise: Tensor) -> Tensor:
    if name == "scale":  # of what a layer adds
        return torch.full_like(noise, 0.2)
    if "Norm" in type(owner).__name__:
        # RepViT normalises what it adds, not what it goes on with.
        return 0.1 * noise + (name == "weight") * (0.4 if isinstance(owner, nn.BatchNorm2d) else 1.0)
    if name == "bias":
        return 0.1 * noise
    if isinstance(owner, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        deviation: float = noise[0].numel() ** -0.5
        return noise * deviation
    return 0.5 * noise  # tokens, embeddings, positions


def _gain(name: str) -> float:
    if "memory_attention" in name and name.endswith(("q_proj.weight", "k_proj.weight")):
        return BLUNT
    if "output_hypernetworks_mlps" in name and "proj_out" in name:
        return 0.6
    return 1.0
