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
from lab.training.language.questions import QUESTION_KINDS
from lab.training.task_mixture import Shown, Task, draw_shown
from lab.training.world.catalogue import CATEGORIES
from lab.training.world.colours import COLOURS
from lab.training.world.levels import Level
from lab.training.world.scenes import Clip, draw_clip

GRID: Final = 16
"Side of the patch grid of nano's vision tower."
MASK_SIDE: Final = 64
OWNED: Final = 1 / 3
"A thing owns a cell that it covers by this share."
GROUND: Final = -1
NOTHING: Final = -100
"Label of what nothing is taught about; torch's cross entropy leaves it out."
GROUPS: Final = ("present", "absent", "caption", *QUESTION_KINDS)
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
    masks: Tensor
    "(N, M, M) float32: coverage of each cell by what is meant, 0..1."
    kinds: Tensor
    "(N,) int64: index into CATEGORIES; NOTHING where several kinds are meant."
    colours: Tensor
    "(N,) int64: index into COLOURS; NOTHING where several are meant."


@dataclass(frozen=True, slots=True, eq=False)
class Gazes:
    """L places of the text from which one has to look at something."""

    rows: Tensor
    "(L,) int64: scene of each."
    places: Tensor
    "(L,) int64: along S. The first word of an answer is predicted from there, or it is a `[SEG]`."
    masks: Tensor
    "(L, M, M) float32: coverage of each cell by what to look at."


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
    gazes: Gazes
    kinds: Tensor
    "(B * F, G, G) int64: 0 is ground, 1 + index into CATEGORIES."
    colours: Tensor
    "(B * F, G, G) int64: 0 is ground, 1 + index into COLOURS."
    shifts: Tensor
    """(B, T, T, 2 * (F - 1)) float32: how far what owns each image token came since each earlier picture, in
    pictures along x and y; NaN on the ground."""
    owners: Tensor
    "(B, F, T, T) int64: which of the scene's things owns each image token; GROUND where none does."
    image_starts: tuple[int, ...]
    "Place along S of the first image token of every picture."
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
    small = [_small(one.clip) for one in shown]
    tokens = template.image_block.count(template.image_id)
    first = prefix.index(template.image_id)
    side = round(tokens**0.5)
    return Batch(
        pixels=normalise(np.concatenate([one.clip.frames for one in shown])),
        pictures=pictures,
        packed=packed,
        answers=_answers(shown, packed),
        pointings=_pointings(shown, small, packed, template),
        gazes=_gazes(shown, small, packed, template),
        kinds=torch.from_numpy(np.stack(kinds)),
        colours=torch.from_numpy(np.stack(colours)),
        shifts=torch.from_numpy(np.stack([_shifts(one.clip, side) for one in shown])),
        owners=torch.from_numpy(np.stack([_owning(one.clip, side) for one in shown])),
        image_starts=tuple(first + index * (len(template.image_block) + 1) for index in range(pictures)),
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


Small = NDArray[np.float32]
"""(N, M, M): coverage of the last picture by each of a scene's things."""


def _pointings(
    shown: Sequence[Shown], small: Sequence[Small], packed: Packed, template: Template
) -> Pointings:
    rows, begins, seg, masks, kinds, colours = [], [], [], [], [], []
    for row, one in enumerate(shown):
        things = one.clip.labels
        for start, task in zip(packed.starts[row], one.tasks, strict=True):
            for meant, first, end in zip(task.meant, *_phrases(task, template), strict=True):
                rows.append(row)
                # A caption's words about a thing are its phrase; of an expression, the question is about it.
                begins.append(start + first if task.kind == "caption" else start)
                seg.append(start + end)
                masks.append(small[row][list(meant)].sum(axis=0))
                kinds.append(_one({CATEGORIES.index(things[k].category) for k in meant}))
                colours.append(_one({COLOURS.index(things[k].colour) for k in meant}))
    return Pointings(
        rows=_whole(rows),
        begins=_whole(begins),
        seg=_whole(seg),
        masks=_stacked(masks),
        kinds=_whole(kinds),
        colours=_whole(colours),
    )


def _gazes(shown: Sequence[Shown], small: Sequence[Small], packed: Packed, template: Template) -> Gazes:
    rows, places, masks = [], [], []
    for row, one in enumerate(shown):
        for start, task in zip(packed.starts[row], one.tasks, strict=True):
            firsts, ends = _phrases(task, template)
            looked = [*zip(firsts, task.meant, strict=True), *zip(ends, task.meant, strict=True)]
            if task.about:
                looked.append((len(task.question) - 1, task.about))
            for place, things in looked:
                rows.append(row)
                places.append(start + place)
                masks.append(small[row][list(things)].sum(axis=0))
    return Gazes(_whole(rows), _whole(places), _stacked(masks))


def _phrases(task: Task, template: Template) -> tuple[list[int], list[int]]:
    """Of every `[SEG]` of a task: whence the first word about its thing is predicted, and its own place."""
    opening = template.tokenizer.token_to_id("<p>")
    block = [*task.question, *task.answer]
    ends = [place for place, token in enumerate(block) if token == template.seg_id]
    if task.kind == "caption":
        return [place for place, token in enumerate(block) if token == opening], ends
    return [len(task.question) - 1] * len(ends), ends


def _small(clip: Clip) -> Small:
    return np.stack([shrunk(mask, MASK_SIDE) for mask in clip.masks[-1]])


def _stacked(masks: list[NDArray[np.float32]]) -> Tensor:
    """(N, M, M)"""
    return torch.from_numpy(np.stack(masks) if masks else np.zeros((0, MASK_SIDE, MASK_SIDE), np.float32))


def _whole(numbers: Sequence[int]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


def _one(numbers: set[int]) -> int:
    return numbers.pop() if len(numbers) == 1 else NOTHING


def shrunk(mask: NDArray[np.bool_], side: int) -> NDArray[np.float32]:
    """(H, W) → (side, side): coverage of each cell, 0..1."""
    small = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32)


def _owning(clip: Clip, side: int) -> NDArray[np.int64]:
    """(F, side, side), see `Batch.owners`."""
    of_pictures = [_owners(clip, index, side) for index in range(len(clip.frames))]
    return np.stack([np.where(owned, owner, GROUND) for owner, owned in of_pictures])


def _owners(clip: Clip, index: int, side: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(side, side): the thing that covers most of each cell of a picture, and whether it owns it."""
    cover = np.stack([shrunk(mask, side) for mask in clip.masks[index]])
    return cover.argmax(axis=0), cover.max(axis=0) > OWNED


def _dense(clip: Clip, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Kind and colour of every patch of a picture."""
    owner, owned = _owners(clip, index, GRID)
    kinds = np.array([1 + CATEGORIES.index(thing.category) for thing in clip.labels])
    colours = np.array([1 + COLOURS.index(thing.colour) for thing in clip.labels])
    return np.where(owned, kinds[owner], 0), np.where(owned, colours[owner], 0)


def _shifts(clip: Clip, side: int) -> NDArray[np.float32]:
    """(side, side, 2 * (F - 1)), see `Batch.shifts`."""
    owner, owned = _owners(clip, -1, side)
    size = np.array(clip.frames.shape[2:0:-1], dtype=np.float32)
    came = (clip.centres_px[-1] - clip.centres_px[:-1]) / size  # (F - 1, N, 2)
    of_things = came.transpose(1, 0, 2).reshape(len(clip.labels), -1)
    return np.where(owned[..., None], of_things[owner], np.nan).astype(np.float32)
