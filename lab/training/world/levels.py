"""Curriculum levels: how much a scene may vary, from five plain shapes to everything the drawn world has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from lab.training.world.catalogue import CATEGORIES
from lab.training.world.colours import COLOURS


@dataclass(frozen=True, slots=True)
class Level:
    """What scenes of a level are sampled from. A name given twice is sampled twice as often."""

    name: str
    categories: tuple[str, ...]
    colours: tuple[str, ...]
    colour_spread: float
    "How far colours vary within their regions, 0 (the middle) to 1 (all of it)."
    textures: tuple[str, ...]
    "Keys of `textures.TEXTURES`."
    backgrounds: tuple[str, ...]
    "Keys of `backgrounds.BACKGROUNDS`."
    object_count: tuple[int, int]
    "Fewest and most objects, unlabelled ones included, occluders not."
    size_range: tuple[float, float]
    "Least and greatest diameter of an object, image heights."
    max_tilt_rad: float
    "Greatest tilt, of categories that may tilt so far."
    shared_attribute_prob: float
    "Probability that an object gets the category or the colour of another."
    shading: float
    "Greatest depth of relief shading; 0 is none."
    shadow_strength: float
    "Greatest darkness of shadows on the background, 0 (none) to 1."
    motions: tuple[str, ...]
    "Of `motion.MOTIONS`."
    max_occluders: int
    "Most objects without a label that only occlude others."
    camera_effects: tuple[str, ...]
    "Of `camera.CAMERA_EFFECTS`."
    expression_kinds: tuple[str, ...]
    "Keys of `language.expressions.EXPRESSION_KINDS`."
    templates_per_meaning: int
    "Of the templates of each meaning, so many of the first are used."
    unlabelled_share: float = 0.0
    "Share of objects that are unlabelled: they have masks, but no name."


_PLAIN: Final = Level(
    name="plain",
    categories=("circle", "square", "triangle", "star", "ring"),
    colours=("red", "green", "blue", "yellow", "purple", "white"),
    colour_spread=0.4,
    textures=("plain",),
    backgrounds=("dull",),
    object_count=(2, 4),
    size_range=(0.3, 0.5),
    max_tilt_rad=0.3,
    shared_attribute_prob=0.0,
    shading=0.0,
    shadow_strength=0.0,
    motions=("drift", "drift", "drift", "leave"),
    max_occluders=0,
    camera_effects=("exposure", "blur", "noise", "jpeg"),
    expression_kinds=("colour", "kind", "both", "place"),
    templates_per_meaning=1,
)
_NAMES: Final = replace(
    _PLAIN,
    name="names",
    categories=CATEGORIES[:17],
    colours=COLOURS,
    colour_spread=0.6,
    backgrounds=("dull", "dull", "flat", "gradient"),
    shared_attribute_prob=0.3,
    expression_kinds=(*_PLAIN.expression_kinds, "plural", "size"),
    templates_per_meaning=2,
)
_KINDS: Final = replace(
    _NAMES,
    name="kinds",
    categories=CATEGORIES,
    size_range=(0.24, 0.5),
    max_tilt_rad=0.6,
    shading=0.5,
    expression_kinds=(*_NAMES.expression_kinds, "negation", "ordinal"),
    templates_per_meaning=3,
)
_SURFACES: Final = replace(
    _KINDS,
    name="surfaces",
    colour_spread=0.8,
    textures=("plain", "plain", "gradient", "mottled", "stripes", "dots", "checks"),
    backgrounds=("dull", "flat", "gradient", "fractal", "tiles", "wood", "bricks", "grass"),
    object_count=(2, 5),
    shadow_strength=0.3,
    motions=(*_PLAIN.motions, "static", "curve"),
    expression_kinds=(*_KINDS.expression_kinds, "relation"),
    templates_per_meaning=9,
)
_MOVEMENT: Final = replace(
    _SURFACES,
    name="movement",
    object_count=(1, 6),
    size_range=(0.18, 0.5),
    shared_attribute_prob=0.45,
    motions=("static", "drift", "drift", "leave", "curve", "halt", "approach"),
    max_occluders=1,
    camera_effects=(*_PLAIN.camera_effects, "motion blur", "pan", "zoom"),
    expression_kinds=(*_SURFACES.expression_kinds, "motion"),
)
_NATURAL_BACKGROUNDS: Final = ("landscape", "landscape", "photo", "photo", "photo", "clutter", "clutter")
_WORLD: Final = replace(
    _MOVEMENT,
    name="world",
    colour_spread=1.0,
    backgrounds=(*_SURFACES.backgrounds, *_NATURAL_BACKGROUNDS),
    object_count=(1, 8),
    size_range=(0.14, 0.5),
    max_tilt_rad=3.2,
    shared_attribute_prob=0.5,
    shading=0.8,
    shadow_strength=0.45,
    max_occluders=2,
    camera_effects=(*_MOVEMENT.camera_effects, "shake", "flicker", "downscale"),
)

CURRICULUM: Final = (_PLAIN, _NAMES, _KINDS, _SURFACES, _MOVEMENT, _WORLD)
"Levels in the order of training; each has all that the level before it has."
UNLABELLED_LEVEL: Final = replace(
    _WORLD,
    name="unlabelled",
    backgrounds=("leaves",) * 5
    + ("photo", "photo", "landscape", "clutter", "fractal", "grass", "wood", "bricks", "tiles"),
    object_count=(1, 5),
    size_range=(0.25, 0.95),
    motions=("static", "drift", "leave", "curve", "curve", "halt", "approach"),
    expression_kinds=(),
    unlabelled_share=0.85,
)
"""For trackers, beside the curriculum: deformable objects of random shape and texture before clutter,
closer to real video than drawings of categories are."""
NANO_LEVEL: Final = CURRICULUM[-1]
"The level that the bundled nano checkpoint was trained up to."
