"""Baselines of the tracker benchmark: transformers' video session, and the official package `sam2`.

Both run the benchmarked weights in float32 and in bfloat16, in the documented way: the session's model is
converted, the package's runs under autocast. The session takes one frame at a time, resized as for Saccade;
the package loads and resizes the whole clip before its first frame, which is not timed.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import EdgeTamVideoModel
from transformers.models.edgetam_video.modeling_edgetam_video import EdgeTamVideoInferenceSession
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from engines.backends.graph import Precision
from engines.geometry import to_square
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.families import build_model, family_name
from engines.tracking.image_encoder import IMAGE_MEAN, IMAGE_STD
from engines.tracking.weight_names import to_official
from lab.benchmarks.candidates import CandidateRun
from lab.benchmarks.timing import Stopwatch
from lab.benchmarks.tracker_clip import SIZE, BenchClip
from streaming.errors import BackendUnavailable, InvalidSettings
from streaming.vocabulary import Mask, Pixels

BASELINES: Final = ("transformers", "sam2")
_SESSION_PARTS: Final = {
    "vision_encoder": "encode",
    "memory_attention": "track",
    "mask_decoder": "track",
    "memory_encoder": "remember",
}
_OFFICIAL_PARTS: Final = {
    "image_encoder": "encode",
    "memory_attention": "track",
    "sam_mask_decoder": "track",
    "memory_encoder": "remember",
}
_OFFICIAL_FILES: Final = {"tiny": "hiera_t", "small": "hiera_s", "base-plus": "hiera_b+", "large": "hiera_l"}


def require_baseline(name: str, weights: TrackerWeights) -> None:
    """Raise InvalidSettings where that baseline cannot run the weights, BackendUnavailable where it is not
    installed."""
    if name not in BASELINES:
        raise InvalidSettings(f"No baseline {name}.", remedy=f"Choose of {', '.join(BASELINES)}.")
    if name != "sam2":
        return
    if importlib.util.find_spec("sam2") is None:
        raise BackendUnavailable(
            "The package sam2 is not installed.", remedy="CandidateRun `make test` once."
        )
    family = family_name(weights.model.config)
    if family is None or not family.startswith("sam2"):
        raise InvalidSettings(
            f"The package sam2 runs SAM 2.0 and 2.1 only, and {weights.name} is neither.",
            remedy="Compare it with transformers.",
        )


@dataclass(frozen=True, slots=True, eq=False)
class TransformersBaseline:
    """transformers' model with its inference session, fed frame by frame."""

    weights: TrackerWeights
    precision: Precision
    device: torch.device

    @property
    def name(self) -> str:
        """See `Candidate`."""
        return "transformers"

    def start(self, clip: BenchClip, stopwatch: Stopwatch) -> CandidateRun:
        """See `Candidate`."""
        dtype = getattr(torch, self.precision)
        model: Any = build_model(self.weights.model.config)
        model.load_state_dict(self.weights.model.state_dict())
        model.set_attn_implementation("sdpa")
        model = model.to(self.device, dtype).eval().requires_grad_(False)
        _time_parts(model, _SESSION_PARTS, stopwatch)
        run = _TransformersRun(model, make_session(model, SIZE, clip.prompts(self.weights.side_px)), clip)
        run.step(0)
        return run


def make_session(model: Any, size: tuple[int, int], prompts: Iterable[NDArray[np.float32]]) -> Any:
    """Return transformers' session for frames of `size`, (height, width), with objects' masks on frame 0.

    prompts: (S, S) each, 0 or 1, S the model's input size. The session has the model's device and dtype.
    """
    kind: Any = EdgeTamVideoInferenceSession
    if not isinstance(model, EdgeTamVideoModel):
        kind = Sam2VideoInferenceSession
    devices = dict.fromkeys(
        ("inference_device", "inference_state_device", "video_storage_device"), model.device
    )
    session = kind(None, *size, dtype=model.dtype, **devices)
    masks = [torch.from_numpy(mask)[None, None] for mask in prompts]
    for obj_id, mask in enumerate(masks):
        session.add_mask_inputs(session.obj_id_to_idx(obj_id), 0, mask)
    session.obj_with_new_inputs = list(range(len(masks)))
    return session


@dataclass(frozen=True, slots=True, eq=False)
class _TransformersRun:
    model: Any
    session: Any
    clip: BenchClip

    @torch.inference_mode()
    def step(self, index: int) -> Tensor:
        """Return masks (N, H, W), resized as the processor's `post_process_masks` does."""
        square = to_square(self.clip.frames[index], self.model.config.image_size)
        frame = normalise(square).to(self.model.device, self.model.dtype)
        logits = self.model(self.session, frame=frame).pred_masks.float()
        large = functional.interpolate(logits, SIZE, mode="bilinear", align_corners=False)
        return large[:, 0] > 0

    def masks(self, output: Tensor) -> list[Mask | None]:
        return [mask if mask.any() else None for mask in output.cpu().numpy()]

    def held_bytes(self) -> int:
        session = self.session
        stored = (session.processed_frames, session.mask_inputs_per_obj, session.output_dict_per_obj)
        return tensor_bytes(stored)


@dataclass(frozen=True, slots=True, eq=False)
class Sam2Baseline:
    """The package's video predictor; on a GPU compiled by its option `vos_optimized`."""

    weights: TrackerWeights
    precision: Precision
    device: torch.device

    @property
    def name(self) -> str:
        """See `Candidate`."""
        return "sam2"

    def start(self, clip: BenchClip, stopwatch: Stopwatch) -> CandidateRun:
        """See `Candidate`."""
        predictor = official_predictor(self.weights, self.device)
        _time_parts(predictor, _OFFICIAL_PARTS, stopwatch)
        side = self.weights.side_px
        with self._autocast():
            state = official_state(predictor, clip.squares(side))
            state["video_height"], state["video_width"] = SIZE
            for obj_id, mask in enumerate(clip.prompts(side)):
                predictor.add_new_mask(state, 0, obj_id, mask > 0)
            run = _Sam2Run(predictor.propagate_in_video(state), state, self._autocast)
            run.step(0)
        return run

    def _autocast(self) -> AbstractContextManager[None]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


@dataclass(frozen=True, slots=True, eq=False)
class _Sam2Run:
    outputs: Iterator[tuple[int, list[int], Tensor]]
    state: dict[str, Any]
    autocast: Any

    def step(self, index: int) -> Tensor:
        with self.autocast():
            frame, _, logits = next(self.outputs)
        assert frame == index
        return logits

    def masks(self, output: Tensor) -> list[Mask | None]:
        masks = (output[:, 0] > 0).cpu().numpy()
        return [mask if mask.any() else None for mask in masks]

    def held_bytes(self) -> int:
        outputs = self.state["output_dict_per_obj"]
        frames = 1 + max(max(each, default=0) for each in outputs[0].values())
        return tensor_bytes((outputs, self.state["mask_inputs_per_obj"], self.state["images"][:frames]))


def official_predictor(weights: TrackerWeights, device: torch.device) -> Any:
    """Return the package's video predictor with these weights. Check `require_baseline` first."""
    from sam2.build_sam import build_sam2_video_predictor

    family = family_name(weights.model.config)
    assert family is not None
    version, _, size = family.partition("-")
    config: Any = weights.model.config
    background = list(config.vision_config.backbone_config.window_positional_embedding_background_size)
    predictor = build_sam2_video_predictor(
        f"configs/{version}/{version}_{_OFFICIAL_FILES[size]}.yaml",
        None,
        device=device,
        hydra_overrides_extra=[
            f"++model.image_size={weights.side_px}",
            f"++model.image_encoder.trunk.window_pos_embed_bkg_spatial_size={background}",
        ],
        vos_optimized=device.type == "cuda",
    )
    predictor.fill_hole_area = 0  # it needs the package's CUDA extension, which most installations lack
    predictor.load_state_dict(to_official(weights.model.state_dict()))
    return predictor.requires_grad_(False)


def official_state(predictor: Any, frames: Sequence[Pixels]) -> dict[str, Any]:
    """Return the predictor's inference state for a clip of these frames, (H, W, 3) each."""
    from sam2 import sam2_video_predictor
    from sam2.utils import misc

    # Its progress bars would overwrite the command's.
    sam2_video_predictor.tqdm = misc.tqdm = _no_progress
    with tempfile.TemporaryDirectory() as folder:
        for index, pixels in enumerate(frames):
            # The package reads files named .jpg by their content: PNG keeps the pixels exact.
            content = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1]
            Path(folder, f"{index:05d}.jpg").write_bytes(content.tobytes())
        state: dict[str, Any] = predictor.init_state(folder)
    return state


def _no_progress(items: Any, **_: object) -> Any:
    return items


def normalise(image: Pixels) -> Tensor:
    """Apply ImageNet's mean and deviation: (S, S, 3) uint8 RGB -> (3, S, S) float32."""
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (IMAGE_MEAN, IMAGE_STD))
    return (torch.from_numpy(image).permute(2, 0, 1).float() / 255 - mean) / std


def _time_parts(model: Any, parts: dict[str, str], stopwatch: Stopwatch) -> None:
    for name, part in parts.items():
        module = getattr(model, name)
        assert isinstance(module, nn.Module)
        stopwatch.time_module(part, module)


def tensor_bytes(root: object) -> int:
    """Return the size of all tensors' storages in nested dicts and sequences; shared storages count once."""
    sizes: dict[int, int] = {}

    def visit(node: object) -> None:
        if isinstance(node, Tensor):
            storage = node.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
        elif isinstance(node, dict):
            visit(list(node.values()))
        elif isinstance(node, list | tuple):
            for part in node:
                visit(part)

    visit(root)
    return sum(sizes.values())
