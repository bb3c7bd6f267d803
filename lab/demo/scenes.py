"""The demo's scenes: a clip and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.demo.footage import bring_bikes
from lab.demo.ground_truth import CLIP, GROUND_TRUTH, GroundTruth, load_ground_truth
from lab.demo.scene_name import SceneName

BIKES_TRUTH: Final = GROUND_TRUTH.with_name("bikes.json.gz")
"Made by `reference_masks`."


@dataclass(frozen=True, slots=True)
class DemoScene:
    """A clip to play, with its ground truth."""

    name: SceneName
    clip: Path
    truth: GroundTruth


def load_scene(name: SceneName) -> DemoScene:
    """Return a scene; the footage of `bikes` is downloaded where it is not there yet.

    Raises ServiceUnavailable where that fails, NotFound where a file of the package is missing.
    """
    if name is SceneName.DRAWN:
        return DemoScene(name, CLIP, load_ground_truth())
    return DemoScene(name, bring_bikes(), load_ground_truth(BIKES_TRUTH))
