"""The official SAM-2 predictor and our compiled tracker with the same seeded random weights.

The weights give features of unit deviation, masks with edges, and memories that make a difference. The object
score's bias is set by hand, since a random score has the same sign on every frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from transformers import Sam2VideoConfig, Sam2VideoModel

from engines.backends.graph import Program, Runner
from engines.backends.torch_backend import TorchBackend
from engines.tracking.checkpoints import TrackerWeights, load_tensors
from engines.tracking.compilation import compile_tracker
from engines.tracking.compiled import CompiledTracker
from streaming.vocabulary import Pixels

T, R = TypeVar("T"), TypeVar("R")

HIERA = {
    "tiny": {
        "hidden_size": 96,
        "blocks_per_stage": [1, 2, 7, 2],
        "embed_dim_per_stage": [96, 192, 384, 768],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "global_attention_blocks": [5, 7, 9],
        "window_positional_embedding_background_size": [7, 7],
    },
    "base_plus": {
        "hidden_size": 112,
        "blocks_per_stage": [2, 3, 16, 3],
        "embed_dim_per_stage": [112, 224, 448, 896],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "global_attention_blocks": [12, 16, 20],
        "window_positional_embedding_background_size": [14, 14],
    },
}
"The published image encoders (sam2/configs), as transformers configurations."

FILES = {"tiny": "hiera_t", "base_plus": "hiera_b+"}


@dataclass(frozen=True)
class Case:
    """One model at one size, with weights of one seed."""

    version: str
    '"2" or "2.1"'
    size: str
    seed: int = 0
    presence: tuple[float, float] = (1.0, 3.0)
    "Gain and bias of the random object score."
    side_px: int = 128
    windows: tuple[int, ...] = (8, 4, 14, 7)
    "Of the published models; smaller ones suit small images."
    cond_memories: int = 2

    @property
    def config_file(self) -> str:
        return f"configs/sam{self.version}/sam{self.version}_{FILES[self.size]}.yaml"


@dataclass(frozen=True, eq=False)
class Pair:
    """The official predictor and our tracker with the same weights."""

    official: Any
    ours: CompiledTracker
    side_px: int


def paired(case: Case) -> Pair:
    """The official predictor with seeded weights, and ours with a copy of them."""
    torch.manual_seed(case.seed)
    official = official_predictor(case)
    init_weights(official, case)
    model: Any = Sam2VideoModel(config_of(case))
    model.set_attn_implementation("eager")
    load_tensors(model, {name: tensor.clone() for name, tensor in official.state_dict().items()})
    weights = TrackerWeights(f"sam{case.version}-{case.size}", model.eval().requires_grad_(False))
    ours = compile_tracker(weights, TorchBackend())
    official.forward_image = remembering(official.forward_image, lambda image: image.numpy().tobytes())
    return Pair(official, replace(ours, encode=RememberingProgram(ours.encode)), case.side_px)


def remembering(function: Callable[[T], R], key: Callable[[T], bytes]) -> Callable[[T], R]:
    """Return `function` with its results remembered: tests give both image encoders the same frames again."""
    known: dict[bytes, R] = {}

    def run(argument: T) -> R:
        name = key(argument)
        if name not in known:
            known[name] = function(argument)
        return known[name]

    return run


class RememberingProgram:
    """Our image encoder, with its outputs remembered, also for later runners."""

    def __init__(self, program: Program) -> None:
        runner = program.runner()
        self._run = remembering(lambda image: [output.copy() for output in runner(image)], np.ndarray.tobytes)

    def runner(self) -> Runner:
        return lambda image: tuple(self._run(image))


def official_predictor(case: Case) -> Any:
    """Build the predictor at the case's image size, without hole filling (see `memory_policy.py`)."""
    from sam2.build_sam import build_sam2_video_predictor

    overrides = [
        f"++model.image_size={case.side_px}",
        f"++model.image_encoder.trunk.window_spec={list(case.windows)}",
        # Prompts on tracked frames become conditioning memories, the only kind of prompt in a stream.
        "++model.add_all_frames_to_correct_as_cond=true",
        f"++model.max_cond_frames_in_attn={case.cond_memories}",
    ]
    predictor = build_sam2_video_predictor(
        case.config_file, None, device="cpu", hydra_overrides_extra=overrides
    )
    predictor.fill_hole_area = 0
    return predictor.requires_grad_(False)


@contextmanager
def memories_in(dtype: torch.dtype) -> Iterator[None]:
    """Within the block the predictor stores memories in `dtype`; its own choice is bfloat16.

    Two memories that differ by the rounding of float32 may round to different bfloat16 values, and from then
    on outputs differ by a thousand times as much; by how much depends on the CPU.
    """
    from sam2 import sam2_video_predictor

    module: Any = sam2_video_predictor
    before, module.torch = module.torch, SimpleNamespace(**{**vars(torch), "bfloat16": dtype})
    try:
        yield
    finally:
        module.torch = before


def config_of(case: Case) -> Sam2VideoConfig:
    """Return transformers' configuration of a published model at another image size."""
    side, newer = case.side_px, case.version == "2.1"
    hiera = HIERA[case.size]
    widths = hiera["embed_dim_per_stage"]
    assert isinstance(widths, list)
    maps = [[side // stride] * 2 for stride in (4, 8, 16)]
    return Sam2VideoConfig(
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "image_size": [side, side],
                "window_size_per_stage": list(case.windows),
                **hiera,
            },
            "backbone_channel_list": widths[::-1],
            "backbone_feature_sizes": maps,
        },
        prompt_encoder_config={"image_size": side},
        image_size=side,
        max_cond_frame_num=case.cond_memories,
        memory_attention_rope_feat_sizes=maps[-1],
        enable_temporal_pos_encoding_for_object_pointers=newer,
        enable_occlusion_spatial_embedding=newer,
    )


@torch.no_grad()
def init_weights(official: Any, case: Case) -> None:
    """Set seeded weights that keep signals near unit deviation through every layer.

    Memory attention is made less selective: otherwise a random network is chaotic, and the rounding of a
    memory (to 8 bits in the official predictor) grows tenfold with every frame.
    """
    generator = torch.Generator().manual_seed(case.seed)

    def normal(tensor: Tensor, deviation: float) -> None:
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * deviation)

    for name, tensor in official.named_parameters():
        if name.endswith("gamma"):
            tensor.fill_(0.2)
        elif "norm" in name or _is_norm(official, name):
            normal(tensor, 0.1)
            if name.endswith("weight"):
                tensor.add_(1)
        elif name.endswith("bias"):
            normal(tensor, 0.1)
        elif name.endswith("weight") and "embed" not in name.split(".")[-2] and "token" not in name:
            normal(tensor, tensor[0].numel() ** -0.5)
        else:
            normal(tensor, 0.5)
        if "memory_attention" in name and name.endswith(("q_proj.weight", "k_proj.weight")):
            tensor.mul_(0.35)
        if (
            "obj_ptr_tpos_proj" in name
        ):  # a few pointer tokens among hundreds: amplify the effect of their age
            tensor.mul_(5)
        if "output_hypernetworks_mlps" in name and "layers.2" in name:
            tensor.mul_(0.6)
    gain, bias = case.presence
    last = official.sam_mask_decoder.pred_obj_score_head.layers[2]
    last.weight.mul_(gain)
    last.bias.fill_(bias)


def _is_norm(model: nn.Module, name: str) -> bool:
    return "Norm" in type(model.get_submodule(name.rpartition(".")[0])).__name__


def write_frames(frames: list[Pixels], folder: Path) -> list[Pixels]:
    """Write frames as the JPEG files that the official loader reads; return them as it decodes them."""
    folder.mkdir(parents=True, exist_ok=True)
    read = []
    for index, pixels in enumerate(frames):
        path = folder / f"{index:05d}.jpg"
        cv2.imwrite(str(path), pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        read.append(_decoded_as_official(path))
    return read


def _decoded_as_official(path: Path) -> Pixels:
    from PIL import Image

    return np.array(Image.open(path).convert("RGB"))
