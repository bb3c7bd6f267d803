"""From drawn scenes to batches of questions: phrases varied, packed behind their picture, with every label.

Besides scenes' own expressions come words the model does not know: an unknown word before a known noun
changes nothing ("the shiny red circle"), an unknown noun is nothing it could point at ("the red jacket").
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from engines.grounding.model import normalise
from engines.grounding.packing import Packed, pack
from engines.grounding.templates import SPECIAL, Template
from engines.training.language.expressions import Expression, expressions
from engines.training.language.words import vocabulary
from engines.training.world.colours import COLOURS
from engines.training.world.levels import KNOWN, Level
from engines.training.world.scenes import Clip, draw_clip
from engines.training.world.things import KINDS

SYNONYMS = {
    "circle": ("ball", "disc", "dot"),
    "square": ("rectangle",),
    "triangle": ("pyramid",),
    "ring": ("hoop", "donut"),
    "cup": ("mug",),
    "person": ("man", "figure", "human"),
    "dog": ("puppy",),
    "cat": ("kitten",),
    "boat": ("ship",),
    "plane": ("airplane", "aircraft"),
    "house": ("home", "building"),
    "box": ("carton",),
    "lamp": ("light",),
    "purple": ("violet", "magenta"),
    "thing": ("item",),
    "top": ("upper side",),
}
_UNKNOWN = "zzz"
"Not in the vocabulary: becomes <unk>."
_OTHER_WORDS = (
    "please segment in this image the a an on of thing object one shape item left right top bottom upper "
    "side sure sorry i cannot see it user assistant find show me what is where describe how many are there "
    "and no yes"
)
GRID = 16
"Side of the patch grid of nano's vision tower."
MASK_SIDE = 64


def nano_tokenizer() -> Tokenizer:
    """One id per word; a word that is not known becomes <unk>, case does not matter."""
    words = [*vocabulary(), *(w for group in SYNONYMS.values() for g in group for w in g.split())]
    ordered = dict.fromkeys(["<unk>", *SPECIAL, "\n", ".", ",", "?", "!", *_OTHER_WORDS.split(), *words])
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(ordered)}, unk_token="<unk>"))  # noqa: S106
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken("\n", special=False, normalized=False)])
    return tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B pictures with K questions each, and what is true of them. G = GRID, M = MASK_SIDE."""

    pixels: Tensor
    "(B, 3, 256, 256) float32, ImageNet-normalised RGB."
    packed: Packed
    answer_rows: Tensor
    "(A,) int64: picture of each answer token."
    answer_places: Tensor
    "(A,) int64: place along S from which the token is predicted."
    answer_ids: Tensor
    "(A,) int64: the token."
    decided: Tensor
    "(B, K) int64: place from which the first answer token is predicted."
    seg: Tensor
    "(B, K) int64: place of [SEG]; of the decision where the thing is absent."
    present: Tensor
    "(B, K) bool."
    masks: Tensor
    "(B, K, M, M) float32: coverage of each cell by what is meant, 0..1."
    meant_kind: Tensor
    "(B, K) int64: index into KINDS of what is meant; 0 where absent."
    meant_colour: Tensor
    "(B, K) int64: index into COLOURS of what is meant; 0 where absent."
    kinds: Tensor
    "(B, G, G) int64: 0 is ground, 1 + index into KINDS."
    colours: Tensor
    "(B, G, G) int64: 0 is ground, 1 + index into COLOURS."
    image_start: int
    "Place of the first image token along S."
    image_side: int
    "The image tokens are a square grid of this side."
    said: tuple[tuple[Expression, ...], ...]


def draw_batch(
    first_seed: int, pictures: int, questions: int, template: Template, level: Level = KNOWN
) -> Batch:
    """Draw pictures `first_seed … first_seed + pictures - 1` of a level with as many questions each."""
    clips, said = [], []
    for seed in range(first_seed, first_seed + pictures):
        clip = draw_clip(seed, frames=1, level=level)
        clips.append(clip)
        said.append(_choose(clip, questions, np.random.default_rng((seed, 1))))
    return _collate(clips, said, template)


# --- words ----------------------------------------------------------------------------------------


def _choose(clip: Clip, questions: int, rng: np.random.Generator) -> tuple[Expression, ...]:
    said = expressions(clip, 0, rng)
    while len(said) < questions:
        said += said
    chosen = [vary(expression, rng) for expression in said[:questions]]
    if rng.random() < 0.3:
        chosen[int(rng.integers(questions))] = _unknowable(clip.level, rng)
    return tuple(chosen)


def _unknowable(level: Level, rng: np.random.Generator) -> Expression:
    colour = f"{rng.choice(level.colours)} " if rng.random() < 0.6 else ""
    return Expression(f"the {colour}{_UNKNOWN}", "absent", ())


def vary(expression: Expression, rng: np.random.Generator) -> Expression:
    """The same in other words."""
    words = [_synonym(word, rng) for word in expression.text.split()]
    if rng.random() < 0.08 and expression.kind != "place":
        words.insert(1, _UNKNOWN)
    roll = rng.random()
    if roll < 0.25 and words[0] == "the":
        words = words[1:] if roll < 0.15 else ["a", *words[1:]]
    return Expression(" ".join(words), expression.kind, expression.targets)


def _synonym(word: str, rng: np.random.Generator) -> str:
    return str(rng.choice(SYNONYMS[word])) if word in SYNONYMS and rng.random() < 0.15 else word


# --- labels ---------------------------------------------------------------------------------------


def _collate(clips: list[Clip], said: list[tuple[Expression, ...]], template: Template) -> Batch:
    blocks: list[list[list[int]]] = []
    spans: list[list[int]] = []
    for group in said:
        questions = [template.question(expression.text) for expression in group]
        answers = [template.answer if expression.targets else template.refusal for expression in group]
        blocks.append([[*q, *a] for q, a in zip(questions, answers, strict=True)])
        spans.append([len(question) for question in questions])
    packed = pack(template.prefix, blocks)
    rows, places, ids = [], [], []
    for row, group_blocks in enumerate(blocks):
        for index, block in enumerate(group_blocks):
            for offset in range(spans[row][index], len(block)):
                rows.append(row)
                places.append(packed.place(index, offset - 1))
                ids.append(block[offset])
    present = torch.tensor([[bool(expression.targets) for expression in group] for group in said])
    decided = torch.tensor([[packed.place(k, s - 1) for k, s in enumerate(span)] for span in spans])
    kinds, colours = zip(*(_dense(clip) for clip in clips), strict=True)
    return Batch(
        pixels=normalise(np.concatenate([clip.frames for clip in clips])),
        packed=packed,
        answer_rows=torch.tensor(rows),
        answer_places=torch.tensor(places),
        answer_ids=torch.tensor(ids),
        decided=decided,
        seg=torch.where(present, decided + 1 + template.seg_offset, decided),
        present=present,
        masks=torch.from_numpy(np.stack([_targets(c, g) for c, g in zip(clips, said, strict=True)])),
        meant_kind=_meant(said, [[KINDS.index(thing.kind) for thing in c.things] for c in clips]),
        meant_colour=_meant(said, [[COLOURS.index(thing.colour) for thing in c.things] for c in clips]),
        kinds=torch.from_numpy(np.stack(kinds)),
        colours=torch.from_numpy(np.stack(colours)),
        image_start=template.prefix.index(template.image_id),
        image_side=round(template.prefix.count(template.image_id) ** 0.5),
        said=tuple(said),
    )


def _targets(clip: Clip, group: tuple[Expression, ...]) -> NDArray[np.float32]:
    """(K, M, M) coverage by what each expression means."""
    small = [_shrink(mask, MASK_SIDE) for mask in clip.masks[0]]
    empty = np.zeros((MASK_SIDE, MASK_SIDE), dtype=np.float32)
    return np.stack([sum((small[i] for i in expression.targets), empty) for expression in group])


def _meant(said: list[tuple[Expression, ...]], numbers: list[list[int]]) -> Tensor:
    """(B, K): `numbers[b][i]` of the first target i of each expression; 0 where there is none."""
    return torch.tensor(
        [
            [own[e.targets[0]] if e.targets else 0 for e in group]
            for group, own in zip(said, numbers, strict=True)
        ]
    )


def _shrink(mask: NDArray[np.bool_], side: int) -> NDArray[np.float32]:
    return np.asarray(
        cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32
    )


def _dense(clip: Clip) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Kind and colour of every patch; a thing owns a patch it covers by a third."""
    cover = np.stack([_shrink(mask, GRID) for mask in clip.masks[0]])
    owner, owned = cover.argmax(axis=0), cover.max(axis=0) > 1 / 3
    kinds = np.array([1 + KINDS.index(thing.kind) for thing in clip.things])
    colours = np.array([1 + COLOURS.index(thing.colour) for thing in clip.things])
    return np.where(owned, kinds[owner], 0), np.where(owned, colours[owner], 0)
