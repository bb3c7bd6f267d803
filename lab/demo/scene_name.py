"""The names of the demo's scenes, apart from all that loading one imports."""

from __future__ import annotations

from enum import StrEnum


class SceneName(StrEnum):
    """The scenes that can be asked for."""

    BIKES = "bikes"
    DRAWN = "drawn"
