"""The description of a scene: exact labels, masks, boxes, occlusion and motion of its objects.

It is the only seam between what draws or composes scenes (`lab.training.world`) and what writes expressions,
questions and captions about them (`lab.training.language`). A new source of scenes fills in a
`SceneDescription` and gets the language; the language imports no drawing code.

Conventions. T frames, N objects, image size H x W; coordinates in pixels, x to the right, y down, (0, 0) is
the upper left corner of the image. *Amodal* quantities are of the whole object, with the parts that are
occluded or out of the image (Zhu et al. 2017, "Semantic Amodal Segmentation"); masks are of the visible part
alone. Objects are sorted by depth: a later one is in front of an earlier one.

May import: numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class ObjectLabel(NamedTuple):
    """The category and the colour of an object, as words of the lexicon."""

    category: str
    "Singular, such as `cup` or `person`."
    colour: str
    "Such as `red`; of a person, the colour of the clothes. Empty where it is unknown (photographs alone)."


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that texts about a scene may use; early curriculum levels have few."""

    categories: tuple[str, ...]
    "Names of categories, of objects that are in the scene and of objects that are absent."
    colours: tuple[str, ...]
    "Names of colours, likewise."
    expression_kinds: tuple[str, ...]
    "Keys of `language.expressions.EXPRESSION_KINDS`; a key given twice is used twice."
    templates_per_meaning: int
    "Of the templates of each meaning, so many of the first are used; at least 1."
    shapes_only: bool = False
    'Whether every category is a geometric shape, so that "shape" may stand for any of them.'
    held_out: frozenset[ObjectLabel] = frozenset()
    "Labels that are withheld from training, to measure generalisation to new combinations."
    about_held_out: bool = False
    """False: no text names a label of `held_out`, neither as present nor as absent. True (the test split of
    these combinations): every expression that has a referent has one with a label of `held_out`."""


@dataclass(frozen=True, slots=True, eq=False)
class SceneDescription:
    """The exact positions, occlusions and motion of N labelled objects over T frames.

    A still image is a scene of T = 1; texts about it do not mention motion.
    """

    labels: tuple[ObjectLabel, ...]
    "(N,), from back to front."
    masks: NDArray[np.bool_]
    "(T, N, H, W): the visible part of each object; no pixel belongs to two objects."
    amodal_area_px: NDArray[np.float32]
    "(T, N): area of the whole object in pixels."
    occluded_px: NDArray[np.float32]
    "(T, N, N): at [t, i, j] the pixels of object i that object j, in front of it, hides; 0 for j <= i."
    centres_px: NDArray[np.float32]
    "(T, N, 2): x, y of the centre of the amodal box, inside the image or outside of it."
    boxes_px: NDArray[np.float32]
    "(T, N, 4): x0, y0, x1, y1, the amodal box."
    world_centres_px: NDArray[np.float32]
    """(T, N, 2): x, y of the object in the coordinates of frame 0's camera, so that it changes only when the
    object itself moves. May differ from the centre of the amodal box by an offset within the object."""
    step_s: float
    "Seconds from one frame to the next."
    vocabulary: Vocabulary


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PhotoDescription(SceneDescription):
    """A photograph, or a part of it, with what is known and not known of it: T = 1.

    Of an object the category is one of `language.real_names`. A mask may lie inside another where it is a
    part of it (the jacket of a person); occlusion is unknown, `occluded_px` is 0. `vocabulary.categories` are
    the nouns that texts about it may use, of what is there and of what is absent.
    """

    instance: tuple[bool, ...]
    "(N,) whether a mask is one whole object; else it may be several, or a part."
    excluded_colours: tuple[frozenset[str], ...]
    "(N,) colours that the object surely does not have."
    wearers: tuple[int, ...]
    "(N,) index of the person of whom the object is a part (clothes, bag, hair), or -1."
    dressed: frozenset[int]
    "Persons whose clothes are annotated."
    known: frozenset[str]
    "Categories of which every object has a mask."
    doubted: frozenset[str]
    "Categories of which there may be an object without a mask: no text depends on their number."
