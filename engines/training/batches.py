"""From drawn scenes and their tasks to tensors with every label."""

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
from engines.training.language.questions import KINDS_OF_QUESTION
from engines.training.mixture import Shown, Task, draw_shown
from engines.training.world.colours import COLOURS
from engines.training.world.levels import Level
from engines.training.world.scenes import Clip, draw_clip
from engines.training.world.things import KINDS

GRID: Final = 16
"Side of the patch grid of nano's vision tower."
MASK_SIDE: Final = 64
OWNED: Final = 1 / 3
"A thing owns a cell that it covers by this share."
NOTHING: Final = -100
"Label of what nothing is taught about; torch's cross entropy leaves it out."
GROUPS: Final = ("present", "absent", "caption", *KINDS_OF_QUESTION)
"Kinds of task, as they are told of."
_DECIDES, _REST = 1.0, 0.15
"Weights of words that decide an answer, and of what follows by rote or may be said in many ways."


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """A tokens that the model has to say."""

    rows: Tensor
    "(A,) int64: scene of each."
    places: Tensor
    "(A,) int64: place along S from which it is predicted."
    ids: Tensor
    "(A,) int64: the token."
    weights: Tensor
    "(A,) float32."
    groups: Tensor
    "(A,) int64: index into GROUPS of those that decide an answer, else -1."


@dataclass(frozen=True, slots=True, eq=False)
class Pointings:
    """N `[SEG]`s and what they point at. M = MASK_SIDE."""

    rows: Tensor
    "(N,) int64: scene of each."
    begins: Tensor
    "(N,) int64: place along S where the words about it begin; they reach up to its [SEG]."
    seg: Tensor
    "(N,) int64: its place along S."
    decided: Tensor
    "(N,) int64: the place from which the first word about it is predicted."
    masks: Tensor
    "(N, M, M) float32: coverage of each cell by what is meant, 0..1."
    kinds: Tensor
    "(N,) int64: index into KINDS; NOTHING where several kinds are meant."
    colours: Tensor
    "(N,) int64: index into COLOURS; NOTHING where several are meant."


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B scenes of F pictures each, the last of which is asked about, and what is true of it. G = GRID."""

    pixels: Tensor
    "(B * F, 3, 256, 256) float32, ImageNet-normalised RGB; a scene's pictures stand together."
    pictures: int
    "F."
    packed: Packed
    answers: Answers
    pointings: Pointings
    kinds: Tensor
    "(B * F, G, G) int64: 0 is ground, 1 + index into KINDS."
    colours: Tensor
    "(B * F, G, G) int64: 0 is ground, 1 + index into COLOURS."
    shifts: Tensor
    """(B, T, T, 2 * (F - 1)) float32: how far what owns each image token came since each earlier picture, in
    pictures along x and y; NaN on the ground."""
    image_start: int
    "Place along S of the first image token of the last picture."
    image_side: int
    "T: the image tokens are a square grid of this side."


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """B single pictures and what is in them; fields as in `Batch`."""

    pixels: Tensor
    kinds: Tensor
    colours: Tensor


def draw_pictures(seeds: Sequence[int], level: Level) -> Pictures:
    """A picture of a level for every seed."""
    clips = [draw_clip(seed, frames=1, level=level) for seed in seeds]
    kinds, colours = zip(*(_dense(clip, 0) for clip in clips), strict=True)
    return Pictures(
        pixels=normalise(np.concatenate([clip.frames for clip in clips])),
        kinds=torch.from_numpy(np.stack(kinds)),
        colours=torch.from_numpy(np.stack(colours)),
    )


def draw_batch(
    seeds: Sequence[int], template: Template, level: Level, *, window: bool, referring: int
) -> Batch:
    """A scene of a level for every seed; `window` and `referring` as in `draw_shown`."""
    shown = [draw_shown(seed, level, template, window=window, referring=referring) for seed in seeds]
    return collate(shown, template)


def collate(shown: Sequence[Shown], template: Template) -> Batch:
    """All scenes show equally many pictures."""
    pictures = len(shown[0].clip.frames)
    prefix = template.prefix(pictures)
    packed = pack(prefix, [[[*task.question, *task.answer] for task in one.tasks] for one in shown])
    labels = [_dense(clip, index) for clip in (one.clip for one in shown) for index in range(pictures)]
    kinds, colours = zip(*labels, strict=True)
    tokens = template.picture.count(template.image_id)
    last = len(prefix) - prefix[::-1].index(template.image_id) - tokens
    side = round(tokens**0.5)
    return Batch(
        pixels=normalise(np.concatenate([one.clip.frames for one in shown])),
        pictures=pictures,
        packed=packed,
        answers=_answers(shown, packed),
        pointings=_pointings(shown, packed, template),
        kinds=torch.from_numpy(np.stack(kinds)),
        colours=torch.from_numpy(np.stack(colours)),
        shifts=torch.from_numpy(np.stack([_shifts(one.clip, side) for one in shown])),
        image_start=last,
        image_side=side,
    )


def _answers(shown: Sequence[Shown], packed: Packed) -> Answers:
    table: list[tuple[int, int, int, float, int]] = []
    for row, one in enumerate(shown):
        for start, task in zip(packed.starts[row], one.tasks, strict=True):
            first = start + len(task.question) - 1
            weights, groups = _weights(task)
            for offset, token in enumerate(task.answer):
                table.append((row, first + offset, token, weights[offset], groups[offset]))
    rows, places, ids, weights_of, groups_of = zip(*table, strict=True)
    return Answers(
        rows=torch.tensor(rows),
        places=torch.tensor(places),
        ids=torch.tensor(ids),
        weights=torch.tensor(weights_of),
        groups=torch.tensor(groups_of),
    )


def _weights(task: Task) -> tuple[list[float], list[int]]:
    """Of every token of the answer. A referring answer is decided by its first word, the others by all."""
    count, group = len(task.answer), GROUPS.index(task.kind)
    if task.kind in ("present", "absent"):
        return [_DECIDES, *[_REST] * (count - 1)], [group, *[-1] * (count - 1)]
    word = _REST if task.kind == "caption" else _DECIDES
    # The end of an answer is by rote.
    return [*[word] * (count - 1), _REST], [*[group] * (count - 1), -1]


def _pointings(shown: Sequence[Shown], packed: Packed, template: Template) -> Pointings:
    opening = template.tokenizer.token_to_id("<p>")
    rows, begins, seg, decided, masks, kinds, colours = [], [], [], [], [], [], []
    for row, one in enumerate(shown):
        small = np.stack([shrunk(mask, MASK_SIDE) for mask in one.clip.masks[-1]])
        things = one.clip.things
        for start, task in zip(packed.starts[row], one.tasks, strict=True):
            block = [*task.question, *task.answer]
            segs = [k for k, token in enumerate(block) if token == template.seg_id]
            firsts = [k for k, token in enumerate(block) if token == opening]
            for meant, end, first in zip(
                task.meant, segs, firsts or [len(task.question) - 1] * len(segs), strict=True
            ):
                rows.append(row)
                begins.append(start + first if firsts else start)
                seg.append(start + end)
                decided.append(start + first)
                masks.append(small[list(meant)].sum(axis=0))
                kinds.append(_one({KINDS.index(things[k].kind) for k in meant}))
                colours.append(_one({COLOURS.index(things[k].colour) for k in meant}))
    drawn = np.stack(masks) if masks else np.zeros((0, MASK_SIDE, MASK_SIDE), np.float32)
    return Pointings(
        rows=torch.tensor(rows, dtype=torch.int64),
        begins=torch.tensor(begins, dtype=torch.int64),
        seg=torch.tensor(seg, dtype=torch.int64),
        decided=torch.tensor(decided, dtype=torch.int64),
        masks=torch.from_numpy(drawn),
        kinds=torch.tensor(kinds, dtype=torch.int64),
        colours=torch.tensor(colours, dtype=torch.int64),
    )


def _one(numbers: set[int]) -> int:
    return numbers.pop() if len(numbers) == 1 else NOTHING


def shrunk(mask: NDArray[np.bool_], side: int) -> NDArray[np.float32]:
    """(H, W) → (side, side): coverage of each cell, 0..1."""
    small = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32)


def _owners(clip: Clip, index: int, side: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(side, side): the thing that covers most of each cell of a picture, and whether it owns it."""
    cover = np.stack([shrunk(mask, side) for mask in clip.masks[index]])
    return cover.argmax(axis=0), cover.max(axis=0) > OWNED


def _dense(clip: Clip, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Kind and colour of every patch of a picture."""
    owner, owned = _owners(clip, index, GRID)
    kinds = np.array([1 + KINDS.index(thing.kind) for thing in clip.things])
    colours = np.array([1 + COLOURS.index(thing.colour) for thing in clip.things])
    return np.where(owned, kinds[owner], 0), np.where(owned, colours[owner], 0)


def _shifts(clip: Clip, side: int) -> NDArray[np.float32]:
    """(side, side, 2 * (F - 1)), see `Batch.shifts`."""
    owner, owned = _owners(clip, -1, side)
    size = np.array(clip.frames.shape[2:0:-1], dtype=np.float32)
    came = (clip.centres[-1] - clip.centres[:-1]) / size  # (F - 1, N, 2)
    of_things = came.transpose(1, 0, 2).reshape(len(clip.things), -1)
    return np.where(owned[..., None], of_things[owner], np.nan).astype(np.float32)
