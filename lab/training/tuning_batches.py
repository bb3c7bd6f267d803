"""From drawn scenes and their tasks to tensors, as large as a checkpoint wants to see them."""

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
from lab.training.batches import shrunk
from lab.training.task_mixture import Shown, Task, draw_shown
from lab.training.world.levels import Level

MASK_STRIDE: Final = 4
"Of SAM-2's masks."


@dataclass(frozen=True, slots=True)
class Sizes:
    """How a checkpoint wants its pictures, and how much is asked about each."""

    family: Family
    "It prepares what the language model sees."
    draw_px: int
    "Side of what SAM-2 sees, in which scenes are drawn."
    expressions: int

    @classmethod
    def of(cls, checkpoint: Sa2Va, expressions: int) -> Sizes:
        """Those of a checkpoint."""
        return cls(checkpoint.model.family, checkpoint.sam_px, expressions)


@dataclass(frozen=True, slots=True, eq=False)
class TuningBatch:
    """B scenes of F pictures each, the last of which is asked about. D is the sizes' side."""

    look: Tensor
    "(B * F, 3, h, w) float32, as the family prepares them; a scene's pictures stand together."
    draw: Tensor
    "(B, 3, D, D) float32, ImageNet-normalised RGB: the last of each."
    packed: Packed
    axes: Tensor | None
    "(A, P) int64: where the prefix stands on the family's axes; None where positions are counted."
    said: Tensor
    "(A, 3) int64, tokens of answers: scene, place along S from which it is predicted, the token itself."
    pointed: Tensor
    "(N, 3) int64, scene by scene: scene, place along S where the words about a thing begin, its `[SEG]`."
    masks: Tensor
    "(N, D / 4, D / 4) float32: coverage of each cell by what is meant, 0..1."


def draw_tuning_batch(
    seeds: Sequence[int], template: Template, level: Level, *, window: bool, sizes: Sizes
) -> TuningBatch:
    """A scene of a level for every seed, each a window or a single picture."""
    shown = [
        draw_shown(seed, level, template, window=window, referring=sizes.expressions, side_px=sizes.draw_px)
        for seed in seeds
    ]
    look = torch.cat([sizes.family.preprocess(picture, 1) for one in shown for picture in one.clip.frames])
    height, width = look.shape[2:]
    seen = [(height, width)] * len(shown[0].clip.frames)
    prefix = template.prefix_for([sizes.family.token_count(*size) for size in seen])
    packed = pack(prefix, [[[*task.question, *task.answer] for task in one.tasks] for one in shown])
    masks = [mask for one in shown for mask in _masks(one, sizes.draw_px // MASK_STRIDE)]
    empty = np.zeros((0, sizes.draw_px // MASK_STRIDE, sizes.draw_px // MASK_STRIDE), np.float32)
    return TuningBatch(
        look=look,
        draw=normalise(np.stack([one.clip.frames[-1] for one in shown])),
        packed=packed,
        axes=sizes.family.position_ids(prefix, template.image_id, seen),
        said=_table(_said(shown, packed)),
        pointed=_table(_pointed(shown, packed, template)),
        masks=torch.from_numpy(np.stack(masks) if masks else empty),
    )


def _tasks(shown: Sequence[Shown], packed: Packed) -> Iterator[tuple[int, int, Task]]:
    """Scene, place along S where it starts, and the task."""
    for row, one in enumerate(shown):
        for start, task in zip(packed.starts[row], one.tasks, strict=True):
            yield row, start, task


def _said(shown: Sequence[Shown], packed: Packed) -> Iterator[tuple[int, int, int]]:
    for row, start, task in _tasks(shown, packed):
        first = start + len(task.question) - 1
        yield from ((row, first + offset, token) for offset, token in enumerate(task.answer))


def _pointed(shown: Sequence[Shown], packed: Packed, template: Template) -> Iterator[tuple[int, int, int]]:
    """The words about a thing begin at its `<p>` in a caption, else with the question."""
    opening = template.tokenizer.token_to_id("<p>")
    for row, start, task in _tasks(shown, packed):
        block = [*task.question, *task.answer]
        segs = [k for k, token in enumerate(block) if token == template.seg_id]
        begins = [k for k, token in enumerate(block) if token == opening] or [0] * len(segs)
        yield from ((row, start + begin, start + seg) for begin, seg in zip(begins, segs, strict=True))


def _masks(shown: Shown, side: int) -> Iterator[NDArray[np.float32]]:
    """Of everything that is pointed at in the last picture, in the order of the `[SEG]`s."""
    small = np.stack([shrunk(mask, side) for mask in shown.clip.masks[-1]])
    for task in shown.tasks:
        yield from (small[list(meant)].sum(axis=0) for meant in task.meant)


def _table(rows: Iterator[tuple[int, int, int]]) -> Tensor:
    return torch.tensor(list(rows), dtype=torch.int64).reshape(-1, 3)
