"""Batches of stages `vision`, `grounding` and `decoder`: scenes and their tasks as tensors with labels.

Shapes: B scenes of F images each, the last of which the tasks are about; S tokens of the longest packed
sequence; G x G patches and T² image tokens per image; M = MASK_SIDE. Photographs are scenes of one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.grounding.model import normalise
from engines.grounding.packing import Packed, pack
from engines.grounding.templates import Template
from lab.training.language.questions import QUESTION_KINDS
from lab.training.names import NAMES
from lab.training.nano_config import PATCH_GRID, VISION_SIDE_PX
from lab.training.task_mixture import Task, TaskSample, draw_photo_sample, draw_task_sample
from lab.training.world.levels import Level
from lab.training.world.named_colours import REAL_COLOURS
from lab.training.world.photo_samples import PhotoSampler
from lab.training.world.photo_views import PhotoView
from lab.training.world.scenes import Clip, draw_clip

PATCHES_PER_TOKEN: Final = 2
"G / T: pixel shuffle joins so many patches along a side."
MASK_SIDE: Final = 64
MIN_COVERAGE: Final = 1 / 3
"A cell has the class of an object that covers more than this share of it, else of the background."
PART_COVERAGE: Final = 0.5
"In photographs a cell has the class of the last object that covers more of it than this, if there is one."
MIN_UNKNOWN: Final = 0.25
"A cell without an object is unknown if more than this share of it is."
BACKGROUND: Final = -1
"Index of the background among the objects of a scene."
IGNORE_INDEX: Final = -100
"Label without a loss, as in torch's cross entropy."
TASK_KINDS: Final = ("present", "absent", "caption", *QUESTION_KINDS)
"Kinds of tasks; each has its own accuracy in the metrics."
_DECISIVE, _OTHER = 1.0, 0.15
"Loss weights of the tokens that decide an answer, and of fixed phrases and words that have alternatives."


@dataclass(frozen=True, slots=True, eq=False)
class AnswerTargets:
    """The tokens of all answers, N in number: targets of teacher forcing."""

    rows: Tensor
    "(N,) int64: scene."
    positions: Tensor
    "(N,) int64: index along S of the state that predicts the token."
    ids: Tensor
    "(N,) int64: the token."
    weights: Tensor
    "(N,) float32: of the loss."
    kinds: Tensor
    "(N,) int64: index into TASK_KINDS of tokens that decide an answer, else -1."


@dataclass(frozen=True, slots=True, eq=False)
class SegTargets:
    """The `[SEG]` tokens of all answers, N in number, with their objects."""

    rows: Tensor
    "(N,) int64: scene."
    begins: Tensor
    "(N,) int64: index along S of the first token of its phrase, which ends before its [SEG]."
    seg: Tensor
    "(N,) int64: index along S of the [SEG]."
    masks: Tensor
    "(N, M, M) float32, 0..1: coverage of each cell by its objects."
    categories: Tensor
    "(N,) int64: index into NAMES; IGNORE_INDEX where the objects have several."
    colours: Tensor
    "(N,) int64: index into REAL_COLOURS; IGNORE_INDEX where the objects have several or none."


@dataclass(frozen=True, slots=True, eq=False)
class AttentionTargets:
    """N tokens whose attention to the image is supervised."""

    rows: Tensor
    "(N,) int64: scene."
    positions: Tensor
    "(N,) int64: index along S. The state there predicts the first token about an object, or is a `[SEG]`."
    masks: Tensor
    "(N, M, M) float32, 0..1: coverage of each cell by the objects to attend to."


@dataclass(frozen=True, slots=True, eq=False)
class GroundingBatch:
    """B scenes with all labels."""

    pixels: Tensor
    "(B * F, 3, side, side) float32, ImageNet-normalised RGB; the images of a scene stand together."
    images_per_scene: int
    "F."
    packed: Packed
    "All tasks of a scene behind its images, S tokens."
    answers: AnswerTargets
    segs: SegTargets
    attention: AttentionTargets
    categories: Tensor
    "(B * F, G, G) int64: 0 is background, else 1 + index into NAMES; IGNORE_INDEX where it is unknown."
    colours: Tensor
    "(B * F, G, G) int64: 0 is background, else 1 + index into REAL_COLOURS; IGNORE_INDEX likewise."
    displacements: Tensor
    """(B, T, T, 2 * (F - 1)) float32: displacement of the object in each image token's cell since every
    earlier image, oldest first, x before y, as a share of the image's width and height; NaN on the
    background."""
    objects: Tensor
    "(B, F, T, T) int64: index of the object in each image token's cell, or BACKGROUND."
    image_starts: tuple[int, ...]
    "Index along S of the first image token of every image."
    image_side: int
    "T: an image's tokens are a square grid of this side."


@dataclass(frozen=True, slots=True, eq=False)
class ImageBatch:
    """B single images with dense class labels; fields as in `GroundingBatch`."""

    pixels: Tensor
    categories: Tensor
    colours: Tensor


def draw_image_batch(seeds: Sequence[int], level: Level) -> ImageBatch:
    """Draw an image of a level for every seed."""
    clips = [draw_clip(seed, frames=1, size=(VISION_SIDE_PX,) * 2, level=level) for seed in seeds]
    categories, colours = zip(*(dense_classes(clip, 0, PATCH_GRID) for clip in clips), strict=True)
    return ImageBatch(
        pixels=normalise(np.concatenate([clip.frames for clip in clips])),
        categories=torch.from_numpy(np.stack(categories)),
        colours=torch.from_numpy(np.stack(colours)),
    )


def draw_grounding_batch(
    seeds: Sequence[int],
    template: Template,
    level: Level,
    *,
    window: bool,
    expressions: int,
    side_px: int = VISION_SIDE_PX,
) -> GroundingBatch:
    """Draw a scene of a level for every seed; other arguments as of `draw_task_sample`."""
    samples = [
        draw_task_sample(seed, level, template, window=window, expressions=expressions, side_px=side_px)
        for seed in seeds
    ]
    return collate(samples, template)


def draw_photo_batch(
    sampler: PhotoSampler, seeds: Sequence[int], template: Template, *, expressions: int, side_px: int
) -> GroundingBatch:
    """Draw a view of photographs for every seed, see `draw_photo_sample`."""
    samples = [
        draw_photo_sample(sampler, seed, template, expressions=expressions, side_px=side_px) for seed in seeds
    ]
    return collate(samples, template)


def collate(samples: Sequence[TaskSample], template: Template) -> GroundingBatch:
    """Make a batch of samples that all have the same number of images."""
    images = len(samples[0].clip.frames)
    prefix = template.prefix(images)
    packed = pack(prefix, [[[*task.question, *task.answer] for task in one.tasks] for one in samples])
    coverage = [_coverage(one.clip) for one in samples]
    tokens = template.image_block.count(template.image_id)
    first = prefix.index(template.image_id)
    side = round(tokens**0.5)
    grid = PATCHES_PER_TOKEN * side
    labels = [dense_classes(one.clip, index, grid) for one in samples for index in range(images)]
    categories, colours = zip(*labels, strict=True)
    return GroundingBatch(
        pixels=normalise(np.concatenate([one.clip.frames for one in samples])),
        images_per_scene=images,
        packed=packed,
        answers=_answer_targets(samples, packed),
        segs=_seg_targets(samples, coverage, packed, template),
        attention=_attention_targets(samples, coverage, packed, template),
        categories=torch.from_numpy(np.stack(categories)),
        colours=torch.from_numpy(np.stack(colours)),
        displacements=torch.from_numpy(np.stack([_displacements(one.clip, side) for one in samples])),
        objects=torch.from_numpy(np.stack([_objects(one.clip, side) for one in samples])),
        image_starts=tuple(first + index * (len(template.image_block) + 1) for index in range(images)),
        image_side=side,
    )


def _answer_targets(samples: Sequence[TaskSample], packed: Packed) -> AnswerTargets:
    table: list[tuple[int, int, int, float, int]] = []
    for row, one in enumerate(samples):
        for start, task in zip(packed.starts[row], one.tasks, strict=True):
            first = start + len(task.question) - 1
            weights, kinds = _weights(task)
            for offset, token in enumerate(task.answer):
                table.append((row, first + offset, token, weights[offset], kinds[offset]))
    rows, positions, ids, weights_of, kinds_of = zip(*table, strict=True)
    return AnswerTargets(
        rows=torch.tensor(rows),
        positions=torch.tensor(positions),
        ids=torch.tensor(ids),
        weights=torch.tensor(weights_of),
        kinds=torch.tensor(kinds_of),
    )


def _weights(task: Task) -> tuple[list[float], list[int]]:
    """Return the loss weight and the kind (or -1) of every token of an answer.

    The first token decides a referring answer, all but the end token decide others.
    """
    count, kind = len(task.answer), TASK_KINDS.index(task.kind)
    if task.kind in ("present", "absent"):
        return [_DECISIVE, *[_OTHER] * (count - 1)], [kind, *[-1] * (count - 1)]
    weight = _OTHER if task.kind == "caption" else _DECISIVE
    return [*[weight] * (count - 1), _OTHER], [*[kind] * (count - 1), -1]


Coverage = NDArray[np.float32]
"(N, M, M), 0..1: coverage of each cell of a scene's last image by each of its objects."


def _seg_targets(
    samples: Sequence[TaskSample], coverage: Sequence[Coverage], packed: Packed, template: Template
) -> SegTargets:
    rows, begins, seg, masks, categories, colours = [], [], [], [], [], []
    for row, one in enumerate(samples):
        labels = one.clip.labels
        for start, task in zip(packed.starts[row], one.tasks, strict=True):
            for objects, first, end in zip(task.referents, *_phrases(task, template), strict=True):
                rows.append(row)
                # In a caption the phrase begins at its <p>; a referring expression is the whole question.
                begins.append(start + first if task.kind == "caption" else start)
                seg.append(start + end)
                masks.append(_joint(coverage[row], objects))
                categories.append(_only({NAMES.index(labels[k].category) for k in objects}))
                colours.append(_only({_colour_index(labels[k].colour) for k in objects}))
    return SegTargets(
        rows=_int64(rows),
        begins=_int64(begins),
        seg=_int64(seg),
        masks=_stack_masks(masks),
        categories=_int64(categories),
        colours=_int64(colours),
    )


def _attention_targets(
    samples: Sequence[TaskSample], coverage: Sequence[Coverage], packed: Packed, template: Template
) -> AttentionTargets:
    rows, positions, masks = [], [], []
    for row, one in enumerate(samples):
        for start, task in zip(packed.starts[row], one.tasks, strict=True):
            firsts, ends = _phrases(task, template)
            supervised = [
                *zip(firsts, task.referents, strict=True),
                *zip(ends, task.referents, strict=True),
            ]
            if task.attended:
                supervised.append((len(task.question) - 1, task.attended))
            for position, objects in supervised:
                rows.append(row)
                positions.append(start + position)
                masks.append(_joint(coverage[row], objects))
    return AttentionTargets(_int64(rows), _int64(positions), _stack_masks(masks))


def _joint(coverage: Coverage, objects: Sequence[int]) -> NDArray[np.float32]:
    """Return (M, M), 0..1: coverage by some of the objects together; in photographs they may overlap."""
    joint: NDArray[np.float32] = np.minimum(coverage[list(objects)].sum(axis=0), 1)
    return joint


def _phrases(task: Task, template: Template) -> tuple[list[int], list[int]]:
    """Return two indices into a task for each of its `[SEG]`s: of the token whose state predicts the first
    token about the object, and of the `[SEG]`."""
    opening = template.tokenizer.token_to_id("<p>")
    block = [*task.question, *task.answer]
    ends = [index for index, token in enumerate(block) if token == template.seg_id]
    if task.kind == "caption":
        return [index for index, token in enumerate(block) if token == opening], ends
    return [len(task.question) - 1] * len(ends), ends


def _stack_masks(masks: list[NDArray[np.float32]]) -> Tensor:
    """Return (N, M, M); N may be 0."""
    return torch.from_numpy(np.stack(masks) if masks else np.zeros((0, MASK_SIDE, MASK_SIDE), np.float32))


def _int64(values: Sequence[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)


def _colour_index(colour: str) -> int:
    """Return the index into REAL_COLOURS, IGNORE_INDEX for an unknown colour."""
    return REAL_COLOURS.index(colour) if colour else IGNORE_INDEX


def _only(indices: set[int]) -> int:
    """Return the only index, or IGNORE_INDEX where there are several."""
    return indices.pop() if len(indices) == 1 else IGNORE_INDEX


# --- labels of cells ------------------------------------------------------------------------------


def cell_coverage(mask: NDArray[np.bool_], side: int) -> NDArray[np.float32]:
    """(H, W) mask → (side, side) coverage of each cell, 0..1."""
    coverage = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(coverage, dtype=np.float32)


def _coverage(clip: Clip | PhotoView) -> Coverage:
    return np.stack([cell_coverage(mask, MASK_SIDE) for mask in clip.masks[-1]])


def _objects(clip: Clip | PhotoView, side: int) -> NDArray[np.int64]:
    """Return (F, side, side), see `GroundingBatch.objects`."""
    per_image = [_majority_objects(clip, index, side) for index in range(len(clip.frames))]
    return np.stack([np.where(covered, index, BACKGROUND) for index, covered in per_image])


def _majority_objects(
    clip: Clip | PhotoView, image: int, side: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (side, side) twice: the object that covers most of a cell, and if it is more than
    MIN_COVERAGE."""
    coverage = np.stack([cell_coverage(mask, side) for mask in clip.masks[image]])
    return coverage.argmax(axis=0), coverage.max(axis=0) > MIN_COVERAGE


def dense_classes(
    clip: Clip | PhotoView, image: int, grid: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the (G, G) categories and colours of an image's patches, as in `GroundingBatch`; G is `grid`."""
    index, covered = _majority_objects(clip, image, grid)
    categories = np.array([1 + NAMES.index(label.category) for label in clip.labels])
    colours = np.array([_dense_colour(label.colour) for label in clip.labels])
    if not isinstance(clip, PhotoView):
        return np.where(covered, categories[index], 0), np.where(covered, colours[index], 0)
    # A part is in front of its whole: the last object of the list that covers a cell.
    for number, mask in enumerate(clip.masks[image]):
        index = np.where(cell_coverage(mask, grid) > PART_COVERAGE, number, index)
    background = np.where(cell_coverage(clip.unlabelled, grid) > MIN_UNKNOWN, IGNORE_INDEX, 0)
    return np.where(covered, categories[index], background), np.where(covered, colours[index], background)


def _dense_colour(colour: str) -> int:
    return 1 + REAL_COLOURS.index(colour) if colour else IGNORE_INDEX


def _displacements(clip: Clip | PhotoView, side: int) -> NDArray[np.float32]:
    """Return (side, side, 2 * (F - 1)), see `GroundingBatch.displacements`."""
    index, covered = _majority_objects(clip, -1, side)
    size = np.array(clip.frames.shape[2:0:-1], dtype=np.float32)
    displacement = (clip.centres_px[-1] - clip.centres_px[:-1]) / size  # (F - 1, N, 2)
    per_object = displacement.transpose(1, 0, 2).reshape(len(clip.labels), -1)
    return np.where(covered[..., None], per_object[index], np.nan).astype(np.float32)
