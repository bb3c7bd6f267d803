"""The names of nano's stages. Imports nothing slow, so that a wrong name is refused at once."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """A stage of the recipe, or all of them."""

    TRACKER = "tracker"
    VISION = "vision"
    GROUNDING = "grounding"
    DECODER = "decoder"
    ALL = "all"
