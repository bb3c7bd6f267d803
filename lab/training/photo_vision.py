"""Stage `vision` on photographs: nano's vision tower learns names from labels and from a detector.

Each step takes crops of labelled photographs and of others without labels. Losses:

    names       BCE of the names' coverage of every patch, where it is known (`photo_labels`)
    scores      BCE of the teacher's class maps at strides 8, 16 and 32
    features    squared error of the teacher's feature maps, normalised by channel, from linear projections

Copying features alone is slow (IoU of cells 0.28 after 40 minutes; a head on the teacher's own maps: 0.50),
so labels and class maps are there from the first step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from engines.grounding.families.conv_stem import ConvStem
from engines.grounding.image_processing import normalise
from engines.grounding.model import SaModel
from lab.training.checkpoint import Progress, Stateful
from lab.training.detector_teacher import CHANNELS, CLASSES, SIDE_PX, STRIDES, DetectorTeacher, TeacherMaps
from lab.training.device import mixed_precision, to_device, training_device
from lab.training.initial_weights import VISION_TOWER, initial_grounder
from lab.training.nano_config import PATCH_GRID, STEM_WIDTHS, VISION_SIDE_PX, VISION_WIDTH
from lab.training.optimiser import Muon, Optimisers, split_parameters
from lab.training.prefetch import prefetch, workers_for
from lab.training.schedules import warmup_stable_decay
from lab.training.trainer import Metrics, OnLog, RunConfig, Timer, Trainer
from lab.training.world.photo_labels import LabelledImages, PhotoLabeller, names_of
from lab.training.world.photographs import Photograph, load_photographs
from streaming.errors import NotFound

HEADS: Final = "heads."
"Prefix of the heads' weights in an exported file."
VISION_FILE: Final = "vision.safetensors"
TEACHER_FILE: Final = Path("teachers") / "yolox_nano.onnx"
"In the folder of photographs."
MIN_MASKS: Final = 10
"Masks that a name needs in the validation for its figure to count."
_SCORES_WEIGHT: Final = 0.02
"""Of the class maps' loss, whose entropy alone is some 20 times the loss of the names at the start."""
_VALIDATION_IMAGES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoVisionConfig(RunConfig):
    """Settings of a run."""

    photos: Path
    "Folder of labelled photographs, with the teacher below it."
    images: int = 16
    muon_lr: float = 0.01
    adamw_lr: float = 1.5e-3
    validation_s: float = 600.0
    start: Path | None = None
    "Folder that `export_vision` wrote, to start from; None: random weights. A resumed run has its own."


class VisionHeads(nn.Module):
    """Heads on the tower that exist only in training."""

    def __init__(self, names: int) -> None:
        super().__init__()
        widths = (STEM_WIDTHS[1], STEM_WIDTHS[2], VISION_WIDTH)
        self.names = nn.Linear(VISION_WIDTH, names)
        self.features = nn.ModuleList(
            nn.Conv2d(width, channels, 1) for width, channels in zip(widths, CHANNELS, strict=True)
        )
        self.scores = nn.ModuleList(nn.Conv2d(width, CLASSES, 1) for width in widths)
        self.statistics = nn.ModuleList(
            nn.BatchNorm2d(channels, affine=False, momentum=0.02) for channels in CHANNELS
        )
        "Running mean and variance of the teacher's channels."
        nn.init.constant_(self.names.bias, -4.0)
        for conv in self.scores:
            assert isinstance(conv, nn.Conv2d) and conv.bias is not None
            nn.init.constant_(conv.bias, -6.0)


@dataclass(frozen=True, slots=True, eq=False)
class VisionBatch:
    """Images with dense labels and what the teacher sees in them."""

    pixels: Tensor
    "(B, 3, S, S) float32, ImageNet-normalised."
    coverage: Tensor
    known: Tensor
    "Both as in `LabelledImages`."
    teacher: TeacherMaps


class TowerState:
    """The state of a grounder's vision tower alone, for a checkpoint that other stages start from."""

    def __init__(self, model: SaModel) -> None:
        self._model = model

    def state_dict(self) -> dict[str, Tensor]:
        """Return its weights by their names in the grounder."""
        return {name: w for name, w in self._model.state_dict().items() if name.startswith(VISION_TOWER)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned."""
        self._model.load_state_dict(state, strict=False)


def train_photo_vision(config: PhotoVisionConfig, on_log: OnLog) -> None:
    """Train until the budget is spent; called again, resume. Exports tower and heads.

    Raises NotFound without photographs or teacher, CheckpointError where the directory holds another run.
    """
    device = training_device()
    photographs, _, _ = _sources(config.photos)
    names = names_of(photographs)
    model = initial_grounder(config.seed).model.to(device)
    tower, heads = TowerState(model), VisionHeads(len(names)).to(device)
    if config.start is not None:
        load_vision(tower, heads, config.start)
    optimisers = _optimisers(config, nn.ModuleList([model.mllm.model.vision_tower, heads]))
    parts: dict[str, Stateful] = {"model": tower, "vision_heads": heads, "optimisers": optimisers}
    trainer = Trainer(config, parts, on_log)
    weights = name_weights(photographs, names).to(device)
    seed = config.seed + trainer.progress.session
    requests = ((seed, step) for step in trainer.upcoming_steps())
    batches = prefetch(partial(_load, config.photos, config.images), requests, workers_for(device))
    timer = Timer(config.validation_s, trainer.progress.spent_s)

    def take_step(progress: Progress) -> Metrics:
        if timer.is_due(progress.spent_s):
            trainer.log(validate(model, heads, config.photos))
        batch = to_device(next(batches), device)
        with mixed_precision(device):
            loss, metrics = vision_loss(model, heads, batch, weights)
        torch.autograd.backward(loss)
        optimisers.step(warmup_stable_decay(config.spent_share(progress)))
        return metrics

    trainer.run(take_step, partial(export_vision, tower, heads))


def export_vision(tower: TowerState, heads: VisionHeads, folder: Path) -> None:
    """Write the weights of tower and heads as float16 to folder/vision.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = tower.state_dict() | {f"{HEADS}{name}": w for name, w in heads.state_dict().items()}
    halved = {name: w.half().cpu().contiguous() for name, w in weights.items() if w.is_floating_point()}
    save_file(halved, folder / VISION_FILE)


def load_vision(tower: TowerState, heads: VisionHeads, folder: Path) -> None:
    """Load what `export_vision` wrote; heads of other names than these photographs' stay as they are.

    Raises NotFound where the folder has no such file.
    """
    path = folder / VISION_FILE
    if not path.is_file():
        raise NotFound(f"There is no {path}.", remedy="`saccade train nano --stage vision` exports it.")
    stored = load_file(path)
    tower.load_state_dict({name: w for name, w in stored.items() if name.startswith(VISION_TOWER)})
    expected = heads.state_dict()
    found = {name.removeprefix(HEADS): w for name, w in stored.items() if name.startswith(HEADS)}
    fitting = {name: w for name, w in found.items() if w.shape == expected[name].shape}
    heads.load_state_dict(fitting, strict=False)


def vision_loss(
    model: SaModel, heads: VisionHeads, batch: VisionBatch, weights: Tensor
) -> tuple[Tensor, Metrics]:
    """Return the loss and its terms. weights: (L,) of the names' positives."""
    maps = tower_maps(model, batch.pixels)
    logits = heads.names(maps[-1].flatten(2).transpose(1, 2)).transpose(1, 2).float()
    names = names_loss(logits.unflatten(2, (PATCH_GRID, PATCH_GRID)), batch, weights)
    features = scores = names.new_zeros(())
    for level, feature_map in enumerate(maps):
        side = SIDE_PX // STRIDES[level]
        student = _resized(feature_map, side)
        wanted = heads.statistics[level](batch.teacher.features[level]).clamp(-4, 4)
        features = features + (heads.features[level](student).float() - wanted).square().mean()
        truth = batch.teacher.scores[level]
        each = functional.binary_cross_entropy_with_logits(
            heads.scores[level](student).float(), truth, reduction="none"
        )
        scores = scores + each.sum() / truth.sum().clamp(min=8.0)
    total = names + features + _SCORES_WEIGHT * scores
    found = {"loss": total, "names": names, "features": features, "scores": scores}
    return total, {name: float(value.detach()) for name, value in found.items()}


def names_loss(logits: Tensor, batch: VisionBatch, weights: Tensor) -> Tensor:
    """BCE of known cells (B, L, G, G), positives weighted by name, over the weight of the positives."""
    each = functional.binary_cross_entropy_with_logits(logits, batch.coverage, reduction="none")
    weight = 1 + (weights[:, None, None] - 1) * batch.coverage
    positives = (weights[:, None, None] * batch.coverage).sum().clamp(min=1.0)
    return (each * weight * batch.known).sum() / positives


def tower_maps(model: SaModel, pixels: Tensor) -> list[Tensor]:
    """Return the stem's maps at strides 8 and 16 and the patches as a map, each (B, C, h, w)."""
    stem = model.mllm.model.vision_tower.embeddings.patch_embeddings.projection
    assert isinstance(stem, ConvStem)
    found: list[Tensor] = []
    handles = [
        layer.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
        for layer in stem.layers
        if isinstance(layer, nn.GroupNorm)
    ]
    handles.append(stem.register_forward_hook(lambda _module, _inputs, output: found.append(output)))
    try:
        patches = model.encode_images(pixels).patches
    finally:
        for handle in handles:
            handle.remove()
    grid = patches.transpose(1, 2).reshape(len(patches), -1, PATCH_GRID, PATCH_GRID)
    return [*found[1:], grid]


def name_weights(photographs: Sequence[Photograph], names: Sequence[str]) -> Tensor:
    """Return (L,) weights of positives: the fourth root of how much rarer a name's pixels are, 1 to 5."""
    areas = dict.fromkeys(names, 1e-3)
    for photograph in photographs:
        height, width = photograph.size
        for mask in photograph.masks:
            areas[mask.category] += mask.area_px / (height * width)
    most = max(areas.values())
    return torch.tensor([float(np.clip((most / areas[name]) ** 0.25, 1, 5)) for name in names])


# --- validation -----------------------------------------------------------------------------------


@torch.no_grad()
def validate(model: SaModel, heads: VisionHeads, photos: Path) -> Metrics:
    """Return the IoU of cells by name, and their mean, on photographs of split `val`."""
    names = names_of(_sources(photos)[0])
    labeller = PhotoLabeller(names, VISION_SIDE_PX, PATCH_GRID)
    device = model.device
    both = either = masks = torch.zeros(len(names), device=device)
    for group in _groups(load_photographs(photos, "val")[::2][:_VALIDATION_IMAGES], 8):
        labelled = labeller.whole(group)
        with mixed_precision(device):
            patches = model.encode_images(normalise(labelled.images)).patches
            logits = heads.names(patches).float().transpose(1, 2).unflatten(2, (PATCH_GRID, PATCH_GRID))
        truth, known = labelled.coverage.to(device) > 0.5, labelled.known.to(device)
        found = (logits > 0) & known
        both = both + (found & truth).sum(dim=(0, 2, 3))
        either = either + (found | truth).sum(dim=(0, 2, 3))
        masks = masks + truth.flatten(2).any(dim=2).sum(dim=0)
    iou = both / either.clamp(min=1)
    counted = masks >= MIN_MASKS
    figures = {f"iou {names[index]}": float(iou[index]) for index in counted.nonzero()[:, 0].tolist()}
    return {"held_out_iou": float(iou[counted].mean()), **figures}


def _groups(photographs: Sequence[Photograph], size: int) -> Iterator[Sequence[Photograph]]:
    return (photographs[start : start + size] for start in range(0, len(photographs), size))


# --- loading --------------------------------------------------------------------------------------


@cache
def _sources(photos: Path) -> tuple[tuple[Photograph, ...], PhotoLabeller, DetectorTeacher]:
    """Load photographs and teacher once a process."""
    photographs = load_photographs(photos, "train")
    labeller = PhotoLabeller(names_of(photographs), VISION_SIDE_PX, PATCH_GRID)
    return photographs, labeller, DetectorTeacher(photos / TEACHER_FILE)


def _load(photos: Path, count: int, request: tuple[int, int]) -> VisionBatch:
    photographs, labeller, teacher = _sources(photos)
    rng = np.random.default_rng(request)
    chosen = [photographs[int(index)] for index in rng.integers(len(photographs), size=count)]
    labelled: LabelledImages = labeller.augmented(chosen, rng)
    return VisionBatch(
        normalise(labelled.images), labelled.coverage, labelled.known, teacher.look_at(labelled.images)
    )


def _optimisers(config: PhotoVisionConfig, module: nn.Module) -> Optimisers:
    matrices, others = split_parameters(module)
    muon = Muon(matrices, lr=config.muon_lr)
    adamw = torch.optim.AdamW(others, lr=config.adamw_lr, weight_decay=0.0, betas=(0.9, 0.98))
    return Optimisers([muon, adamw], clipped=others)


def _resized(feature_map: Tensor, side: int) -> Tensor:
    """Resize (B, C, h, w) to a smaller side by averaging, to a larger one by interpolation."""
    if side < feature_map.shape[-1]:
        return functional.adaptive_avg_pool2d(feature_map, side)
    return functional.interpolate(feature_map, size=(side, side), mode="bilinear")
