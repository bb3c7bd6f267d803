"""Whom we are compared with, on our weights: transformers' video session, and the official package `sam2`.

Each in float32 and in bfloat16, as its documentation says to: the session's model converted, the package's
under autocast. The session gets a picture at a time, prepared as ours is; the package prepares its whole
film before the first, untimed.
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
from engines.tracking.families import family_name, build_model
from engines.tracking.image_encoder import IMAGE_MEAN, IMAGE_STD
from engines.tracking.weight_names import to_official
from lab.benchmarks.candidates import Run
from lab.benchmarks.timing import Stopwatch
from lab.benchmarks.tracker_clip import SIZE, BenchClip
from streaming.errors import BackendUnavailable, InvalidSettings
from streaming.vocabulary import Mask, Pixels

PEERS: Final = ("transformers", "sam2")
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


def require_peer(name: str, weights: TrackerWeights) -> None:
    """Raises InvalidSettings where that peer cannot run these weights, BackendUnavailable where it is not
    installed."""
    if name not in PEERS:
        raise InvalidSettings(f"No peer {name}.", remedy=f"Choose of {', '.join(PEERS)}.")
    if name != "sam2":
        return
    if importlib.util.find_spec("sam2") is None:
        raise BackendUnavailable("The package sam2 is not installed.", remedy="Say make test once.")
    family = family_name(weights.model.config)
    if family is None or not family.startswith("sam2"):
        raise InvalidSettings(
            f"The package sam2 knows SAM 2.0 and 2.1 alone, and {weights.name} is none of them.",
            remedy="Compare it with transformers.",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """transformers' model with its inference session, as a live stream uses it."""

    weights: TrackerWeights
    precision: Precision
    device: torch.device

    @property
    def name(self) -> str:
        """See `Contestant`."""
        return "transformers"

    def start(self, clip: BenchClip, stopwatch: Stopwatch) -> Run:
        """See `Contestant`."""
        dtype = getattr(torch, self.precision)
        model: Any = build_model(self.weights.model.config)
        model.load_state_dict(self.weights.model.state_dict())
        model.set_attn_implementation("sdpa")
        model = model.to(self.device, dtype).eval().requires_grad_(False)
        _watch(model, _SESSION_PARTS, stopwatch)
        run = _SessionRun(model, session_of(model, SIZE, clip.prompts(self.weights.side_px)), clip)
        run.step(0)
        return run


def session_of(model: Any, size: tuple[int, int], prompts: Iterable[NDArray[np.float32]]) -> Any:
    """transformers' session of pictures (height, width), told its things by masks (S, S) of the first.

    Where the model is, and in its precision.
    """
    kind: Any = EdgeTamVideoInferenceSession
    if not isinstance(model, EdgeTamVideoModel):
        kind = Sam2VideoInferenceSession
    places = dict.fromkeys(
        ("inference_device", "inference_state_device", "video_storage_device"), model.device
    )
    session = kind(None, *size, dtype=model.dtype, **places)
    told = [torch.from_numpy(mask)[None, None] for mask in prompts]
    for thing, mask in enumerate(told):
        session.add_mask_inputs(session.obj_id_to_idx(thing), 0, mask)
    session.obj_with_new_inputs = list(range(len(told)))
    return session


@dataclass(frozen=True, slots=True, eq=False)
class _SessionRun:
    model: Any
    session: Any
    clip: BenchClip

    @torch.inference_mode()
    def step(self, index: int) -> Tensor:
        """Masks (N, H, W), enlarged as by its processor's `post_process_masks`."""
        square = to_square(self.clip.frames[index], self.model.config.image_size)
        picture = normalised(square).to(self.model.device, self.model.dtype)
        logits = self.model(self.session, frame=picture).pred_masks.float()
        large = functional.interpolate(logits, SIZE, mode="bilinear", align_corners=False)
        return large[:, 0] > 0

    def masks(self, followed: Tensor) -> list[Mask | None]:
        return [mask if mask.any() else None for mask in followed.cpu().numpy()]

    def held_bytes(self) -> int:
        session = self.session
        kept = (session.processed_frames, session.mask_inputs_per_obj, session.output_dict_per_obj)
        return tensor_bytes(kept)


@dataclass(frozen=True, slots=True, eq=False)
class Official:
    """The package's video predictor; compiled, as it offers, on a GPU."""

    weights: TrackerWeights
    precision: Precision
    device: torch.device

    @property
    def name(self) -> str:
        """See `Contestant`."""
        return "sam2"

    def start(self, clip: BenchClip, stopwatch: Stopwatch) -> Run:
        """See `Contestant`."""
        predictor = official_predictor(self.weights, self.device)
        _watch(predictor, _OFFICIAL_PARTS, stopwatch)
        side = self.weights.side_px
        with self._precisely():
            state = official_state(predictor, clip.squares(side))
            state["video_height"], state["video_width"] = SIZE
            for thing, mask in enumerate(clip.prompts(side)):
                predictor.add_new_mask(state, 0, thing, mask > 0)
            run = _OfficialRun(predictor.propagate_in_video(state), state, self._precisely)
            run.step(0)
        return run

    def _precisely(self) -> AbstractContextManager[None]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


@dataclass(frozen=True, slots=True, eq=False)
class _OfficialRun:
    following: Iterator[tuple[int, list[int], Tensor]]
    state: dict[str, Any]
    precisely: Any

    def step(self, index: int) -> Tensor:
        with self.precisely():
            frame, _, logits = next(self.following)
        assert frame == index
        return logits

    def masks(self, followed: Tensor) -> list[Mask | None]:
        found = (followed[:, 0] > 0).cpu().numpy()
        return [mask if mask.any() else None for mask in found]

    def held_bytes(self) -> int:
        outputs = self.state["output_dict_per_obj"]
        seen = 1 + max(max(each, default=0) for each in outputs[0].values())
        return tensor_bytes((outputs, self.state["mask_inputs_per_obj"], self.state["images"][:seen]))


def official_predictor(weights: TrackerWeights, device: torch.device) -> Any:
    """The package's video predictor with our weights. See `require_peer`."""
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
    predictor.fill_hole_area = 0  # takes a kernel of its own for CUDA, which most installations lack
    predictor.load_state_dict(to_official(weights.model.state_dict()))
    return predictor.requires_grad_(False)


def official_state(predictor: Any, pictures: Sequence[Pixels]) -> dict[str, Any]:
    """The predictor's state of a film of these square pictures."""
    from sam2 import sam2_video_predictor
    from sam2.utils import misc

    # Its progress bars would write over ours.
    sam2_video_predictor.tqdm = misc.tqdm = _plain
    with tempfile.TemporaryDirectory() as folder:
        for index, picture in enumerate(pictures):
            # It reads names that end in .jpg, and whatever they hold: nothing is lost.
            content = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
            Path(folder, f"{index:05d}.jpg").write_bytes(content.tobytes())
        state: dict[str, Any] = predictor.init_state(folder)
    return state


def _plain(items: Any, **_: object) -> Any:
    return items


def normalised(picture: Pixels) -> Tensor:
    """(S, S, 3) uint8 -> (3, S, S) float32."""
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (IMAGE_MEAN, IMAGE_STD))
    return (torch.from_numpy(picture).permute(2, 0, 1).float() / 255 - mean) / std


def _watch(model: Any, parts: dict[str, str], stopwatch: Stopwatch) -> None:
    for name, part in parts.items():
        module = getattr(model, name)
        assert isinstance(module, nn.Module)
        stopwatch.watch(part, module)


def tensor_bytes(held: object) -> int:
    """Memory behind every tensor within dictionaries and sequences, shared memory counted once."""
    found: dict[int, int] = {}

    def visit(one: object) -> None:
        if isinstance(one, Tensor):
            storage = one.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
        elif isinstance(one, dict):
            visit(list(one.values()))
        elif isinstance(one, list | tuple):
            for part in one:
                visit(part)

    visit(held)
    return sum(found.values())
