"""Photographs described by hand: rectangles with labels, on a canvas of 100 x 100 pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.training.language.photo_facts import PhotoFacts
from lab.training.language.real_names import REAL_CATEGORIES
from lab.training.scene_description import ObjectLabel, PhotoDescription, Vocabulary
from lab.training.world.named_colours import REAL_COLOURS

SIDE = 100
PHOTO_KINDS = ("kind", "both", "clothing", "place", "size", "plural", "negation", "ordinal", "relation")


@dataclass(frozen=True)
class Thing:
    """An object of a described photograph."""

    category: str
    box: tuple[int, int, int, int]
    "x0, y0, x1, y1."
    colour: str = ""
    instance: bool = True
    wearer: int = -1
    known_colour: bool = True
    "Whether it surely has no other colour than its own."


def described(
    *things: Thing,
    nouns: tuple[str, ...] = (),
    known: frozenset[str] = frozenset(REAL_CATEGORIES),
    doubted: frozenset[str] = frozenset(),
) -> PhotoDescription:
    """Describe a photograph of these things, in which people are dressed."""
    count = len(things)
    masks = np.zeros((1, count, SIDE, SIDE), np.bool_)
    boxes = np.array([[thing.box for thing in things]], np.float32)
    for index, thing in enumerate(things):
        x0, y0, x1, y1 = thing.box
        masks[0, index, y0:y1, x0:x1] = True
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    return PhotoDescription(
        labels=tuple(ObjectLabel(thing.category, thing.colour) for thing in things),
        masks=masks,
        amodal_area_px=masks.sum(axis=(2, 3)).astype(np.float32),
        occluded_px=np.zeros((1, count, count), np.float32),
        centres_px=centres,
        boxes_px=boxes,
        world_centres_px=centres,
        step_s=1.0,
        vocabulary=Vocabulary(nouns, REAL_COLOURS, PHOTO_KINDS, templates_per_meaning=9),
        instance=tuple(thing.instance for thing in things),
        excluded_colours=tuple(
            frozenset(REAL_COLOURS) - {thing.colour} if thing.colour and thing.known_colour else frozenset()
            for thing in things
        ),
        wearers=tuple(thing.wearer for thing in things),
        dressed=frozenset(index for index, thing in enumerate(things) if thing.category == "person"),
        known=known,
        doubted=doubted,
    )


def facts_of(scene: PhotoDescription) -> PhotoFacts:
    """Return the facts with the nouns of the vocabulary."""
    return PhotoFacts(scene, 0, scene.vocabulary.categories)
