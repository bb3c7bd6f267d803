"""Batches for tuning: the task mixture in the image sizes and tokens of a published checkpoint.

Shapes: B scenes of F images each, the last of which the tasks are about; S tokens of the longest packed
sequence; D = `Sizes.sam_px`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.families.base import Family
from engines.grounding.image_processing import normalise
from engines.grounding.packing import Packed, pack
from engines.grounding.templates import Template
from lab.training.batches import cell_coverage
from lab.training.task_mixture import Task, TaskSample, draw_task_sample
from lab.training.world.levels import Level

MASK_STRIDE: Final = 4
"Of SAM-2's mask logits."


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a checkpoint's inputs, and of its samples."""

    family: Family
    "Prepares images for the language model."
    sam_px: int
    "Side of SAM-2's image, in which scenes are drawn."
    expressions: int
    "Referring expressions of a scene."

    @classmethod
    def of(cls, checkpoint: Sa2Va, expressions: int) -> Sizes:
        """Return those of a checkpoint."""
        return cls(checkpoint.model.family, checkpoint.sam_px, expressions)


@dataclass(frozen=True, slots=True, eq=False)
class TuningBatch:
    """B scenes with all labels; N `[SEG]`s in all."""

    language_pixels: Tensor
    "(B * F, 3, h, w) float32, as the family prepares them; the images of a scene stand together."
    sam_pixels: Tensor
    "(B, 3, D, D) float32, ImageNet-normalised RGB: the last image of each scene."
    packed: Packed
    axes: Tensor | None
    "(A, P) int64: positions of the prefix on the family's A axes; None where positions are counted."
    answers: Tensor
    "(K, 3) int64, tokens of all answers: scene, index along S of the state that predicts it, token."
    segs: Tensor
    "(N, 3) int64, by scene: scene, index along S of the first token of its phrase, index of the `[SEG]`."
    masks: Tensor
    "(N, D / 4, D / 4) float32, 0..1: coverage of each cell by its objects."


def draw_tuning_batch(
    seeds: Sequence[int], template: Template, level: Level, *, window: bool, sizes: Sizes
) -> TuningBatch:
    """Draw a scene of a level for every seed, each as a window or as a single image."""
    samples = [
        draw_task_sample(
            seed, level, template, window=window, expressions=sizes.expressions, side_px=sizes.sam_px
        )
        for seed in seeds
    ]
    pixels = torch.cat([sizes.family.preprocess(image, 1) for one in samples for image in one.clip.frames])
    height, width = pixels.shape[2:]
    image_sizes = [(height, width)] * len(samples[0].clip.frames)
    prefix = template.prefix_for([sizes.family.token_count(*size) for size in image_sizes])
    packed = pack(prefix, [[[*task.question, *task.answer] for task in one.tasks] for one in samples])
    side = sizes.sam_px // MASK_STRIDE
    masks = [mask for one in samples for mask in _masks(one, side)]
    return TuningBatch(
        language_pixels=pixels,
        sam_pixels=normalise(np.stack([one.clip.frames[-1] for one in samples])),
        packed=packed,
        axes=sizes.family.position_ids(prefix, template.image_id, image_sizes),
        answers=_table(_answers(samples, packed)),
        segs=_table(_segs(samples, packed, template)),
        masks=torch.from_numpy(np.stack(masks) if masks else np.zeros((0, side, side), np.float32)),
    )


def _tasks(samples: Sequence[TaskSample], packed: Packed) -> Iterator[tuple[int, int, Task]]:
    """Yield scene, index along S of the first token, and task."""
    for row, one in enumerate(samples):
        for start, task in zip(packed.starts[row], one.tasks, strict=True):
            yield row, start, task


def _answers(samples: Sequence[TaskSample], packed: Packed) -> Iterator[tuple[int, int, int]]:
    for row, start, task in _tasks(samples, packed):
        first = start + len(task.question) - 1
        yield from ((row, first + offset, token) for offset, token in enumerate(task.answer))


def _segs(
    samples: Sequence[TaskSample], packed: Packed, template: Template
) -> Iterator[tuple[int, int, int]]:
    """Yield the rows of `TuningBatch.segs`; phrases begin at `<p>` in a caption, else with the question."""
    opening = template.tokenizer.token_to_id("<p>")
    for row, start, task in _tasks(samples, packed):
        block = [*task.question, *task.answer]
        segs = [k for k, token in enumerate(block) if token == template.seg_id]
        begins = [k for k, token in enumerate(block) if token == opening] or [0] * len(segs)
        yield from ((row, start + begin, start + seg) for begin, seg in zip(begins, segs, strict=True))


def _masks(sample: TaskSample, side: int) -> Iterator[NDArray[np.float32]]:
    """Yield (side, side) coverages of the last image by the objects of each `[SEG]`, in order."""
    coverage = np.stack([cell_coverage(mask, side) for mask in sample.clip.masks[-1]])
    for task in sample.tasks:
        yield from (coverage[list(objects)].sum(axis=0) for objects in task.referents)


def _table(rows: Iterator[tuple[int, int, int]]) -> Tensor:
    return torch.tensor(list(rows), dtype=torch.int64).reshape(-1, 3)
