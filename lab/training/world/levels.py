"""How wide the world is: a ladder of levels, each mastered before the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from lab.training.world.catalogue import KINDS
from lab.training.world.colours import COLOURS


@dataclass(frozen=True, slots=True)
class Level:
    """Everything that a scene of this level may have. A name given twice is taken twice as often."""

    name: str
    kinds: tuple[str, ...]
    colours: tuple[str, ...]
    spread: float
    "How far colours stray from the middle of their regions, 0..1."
    textures: tuple[str, ...]
    grounds: tuple[str, ...]
    things: tuple[int, int]
    "Fewest and most in a scene."
    sizes: tuple[float, float]
    "Picture heights."
    tilt: float
    "Greatest tilt, radians, of things that may tilt so far."
    kinship: float
    "Chance that a thing takes its colour or its kind from one that is there already."
    relief: float
    "Depth of the light on bodies; 0 is none."
    shadows: float
    "Darkness of the shadows on what is behind; 0 is none."
    motions: tuple[str, ...]
    props: int
    "Most things without a name that others pass behind."
    spoilage: tuple[str, ...]
    "What cameras may do."
    phrases: tuple[str, ...]
    "Kinds of expression."
    wordings: int
    "Of each way to say a thing, so many of the first are used."
    strange: float = 0.0
    "Share of things that nobody has a name for."


_PLAIN: Final = Level(
    name="plain",
    kinds=("circle", "square", "triangle", "star", "ring"),
    colours=("red", "green", "blue", "yellow", "purple", "white"),
    spread=0.4,
    textures=("plain",),
    grounds=("dull",),
    things=(2, 4),
    sizes=(0.3, 0.5),
    tilt=0.3,
    kinship=0.0,
    relief=0.0,
    shadows=0.0,
    motions=("drift", "drift", "drift", "leave"),
    props=0,
    spoilage=("exposure", "blur", "noise", "jpeg"),
    phrases=("colour", "kind", "both", "place"),
    wordings=1,
)
_NAMES: Final = replace(
    _PLAIN,
    name="names",
    kinds=KINDS[:17],
    colours=COLOURS,
    spread=0.6,
    grounds=("dull", "dull", "flat", "gradient"),
    kinship=0.3,
    phrases=(*_PLAIN.phrases, "plural", "size"),
    wordings=2,
)
_KINDS: Final = replace(
    _NAMES,
    name="kinds",
    kinds=KINDS,
    sizes=(0.24, 0.5),
    tilt=0.6,
    relief=0.5,
    phrases=(*_NAMES.phrases, "negation", "ordinal"),
    wordings=3,
)
_SURFACES: Final = replace(
    _KINDS,
    name="surfaces",
    spread=0.8,
    textures=("plain", "plain", "gradient", "mottled", "stripes", "dots", "checks"),
    grounds=("dull", "flat", "gradient", "fractal", "tiles", "wood", "bricks", "grass"),
    things=(2, 5),
    shadows=0.3,
    motions=(*_PLAIN.motions, "still", "curve"),
    phrases=(*_KINDS.phrases, "relation"),
    wordings=9,
)
_MOVEMENT: Final = replace(
    _SURFACES,
    name="movement",
    things=(1, 6),
    sizes=(0.18, 0.5),
    kinship=0.45,
    motions=("still", "drift", "drift", "leave", "curve", "halt", "approach"),
    props=1,
    spoilage=(*_PLAIN.spoilage, "motion blur", "pan", "zoom"),
    phrases=(*_SURFACES.phrases, "motion"),
)
_WORLD: Final = replace(
    _MOVEMENT,
    name="world",
    spread=1.0,
    grounds=(*_SURFACES.grounds, "landscape", "landscape", "photo", "photo", "photo", "clutter", "clutter"),
    things=(1, 8),
    sizes=(0.14, 0.5),
    tilt=3.2,
    kinship=0.5,
    relief=0.8,
    shadows=0.45,
    props=2,
    spoilage=(*_MOVEMENT.spoilage, "shake", "flicker", "downscale"),
)

LADDER: Final = (_PLAIN, _NAMES, _KINDS, _SURFACES, _MOVEMENT, _WORLD)
"From the narrowest to the whole world; a model is measured on each before it is shown the next."
STRANGERS: Final = replace(
    _WORLD,
    name="strangers",
    grounds=("leaves",) * 5
    + ("photo", "photo", "landscape", "clutter", "fractal", "grass", "wood", "bricks", "tiles"),
    things=(1, 5),
    sizes=(0.25, 0.95),
    motions=("still", "drift", "leave", "curve", "curve", "halt", "approach"),
    phrases=(),
    strange=0.85,
)
"""Beside the ladder, for what only follows: soft bodies of any shape under any surface before a jumble, which
is nearer to footage than anything that could be named."""
KNOWN: Final = LADDER[-1]
"What the bundled weights have learnt."
