"""The demo's scenes: a clip and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab.demo.footage import bring_bikes

if TYPE_CHECKING:
    from lab.demo.ground_truth import GroundTruth

BIKES_TRUTH: Final = Path(__file__).parent / "data" / "bikes.json.gz"
"Made by `reference_masks`."


class SceneName(StrEnum):
    """The scenes that can be asked for."""

    BIKES = "bikes"
    DRAWN = "drawn"


@dataclass(frozen=True, slots=True)
class DemoScene:
    """A clip to play, with its ground truth."""

    clip: Path
    truth: GroundTruth


def load_scene(name: SceneName) -> DemoScene:
    """Return a scene; the footage of `bikes` is downloaded where it is not there yet.

    Raises ServiceUnavailable where that fails, NotFound where a file of the package is missing.
    """
    # Here, for the command line takes the names from this module: it imports NumPy.
    from lab.demo.ground_truth import CLIP, load_ground_truth

    if name is SceneName.DRAWN:
        return DemoScene(CLIP, load_ground_truth())
    return DemoScene(bring_bikes(), load_ground_truth(BIKES_TRUTH))
