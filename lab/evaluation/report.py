"""All measurements of a model on a level of the drawn world: what `saccade eval` reports."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

from engines.protocols import Grounder
from engines.tracking.compiled import CompiledTracker
from lab.evaluation.answering import AnsweringScore, score_answers
from lab.evaluation.describing import DescribingScore, score_captions
from lab.evaluation.held_out import draw_scenes
from lab.evaluation.reappearance import draw_reappearance_clips
from lab.evaluation.referring import ReferringScore, score_grounder
from lab.evaluation.tracking import TrackingScore, score_tracking
from lab.training.world.holdout import Split
from lab.training.world.levels import Level

T = TypeVar("T")
SPLITS = (Split.UNSEEN, Split.COMBINATIONS, Split.LOOK_ALIKES)


class TrackProgress(Protocol):
    """Shows progress while it passes items on."""

    def __call__(self, items: Iterable[T], part: str, total: int) -> Iterable[T]:
        """Return the same items, of which there are `total`; part: a description."""
        ...


@dataclass(frozen=True, slots=True)
class Model:
    """The models that are measured."""

    grounder: Grounder
    tracker: CompiledTracker


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is drawn per level."""

    scenes: int
    "Per held-out set."
    clips: int


@dataclass(frozen=True, slots=True)
class LevelScore:
    """Figures of a level."""

    level: str
    referring: dict[str, ReferringScore]
    "By held-out set."
    following: TrackingScore
    answering: AnsweringScore
    describing: DescribingScore


def score_level(model: Model, level: Level, sizes: Sizes, progress: TrackProgress) -> LevelScore:
    """Measure a model on a level's held-out scenes and clips."""
    scenes = sizes.scenes
    referring = {
        split.name.lower(): score_grounder(
            model.grounder,
            progress(draw_scenes(scenes, level, split), f"{level.name}: {split.name.lower()}", scenes),
        )
        for split in SPLITS
    }
    for_questions = progress(draw_scenes(scenes, level), f"{level.name}: questions", scenes)
    answering = score_answers(model.grounder, for_questions)
    for_captions = progress(draw_scenes(scenes, level), f"{level.name}: captions", scenes)
    describing = score_captions(model.grounder, for_captions)
    clips = progress(draw_reappearance_clips(sizes.clips, level), f"{level.name}: clips", sizes.clips)
    tracking = score_tracking(model.tracker, clips)
    return LevelScore(level.name, referring, tracking, answering, describing)


def to_json(score: Any) -> dict[str, Any]:
    """Return a score's dataclass as JSON values: figures with four digits, None for NaN."""
    figures: dict[str, Any] = _json_value(asdict(score))
    return figures


def _json_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _json_value(each) for name, each in value.items()}
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 4)
    return value
