"""Everything that is measured of a model on a level of the world, at sizes of one's choice."""

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


class Watch(Protocol):
    """What is told of progress: it hands on the items of a part of the work."""

    def __call__(self, items: Iterable[T], part: str, total: int) -> Iterable[T]:
        """The same items, of which there will be `total`."""
        ...


@dataclass(frozen=True, slots=True)
class Model:
    """What is measured."""

    grounder: Grounder
    tracker: CompiledTracker


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is drawn of a level."""

    scenes: int
    "Of each held-out set."
    clips: int


@dataclass(frozen=True, slots=True)
class LevelScore:
    """Figures of one level."""

    level: str
    referring: dict[str, ReferringScore]
    "By held-out set."
    following: TrackingScore
    answering: AnsweringScore
    describing: DescribingScore


def score_level(model: Model, level: Level, sizes: Sizes, watch: Watch) -> LevelScore:
    """Measure a model on a level's held-out scenes and clips."""
    scenes = sizes.scenes
    referring = {
        split.name.lower(): score_grounder(
            model.grounder,
            watch(draw_scenes(scenes, level, split), f"{level.name}: {split.name.lower()}", scenes),
        )
        for split in SPLITS
    }
    asked = watch(draw_scenes(scenes, level), f"{level.name}: questions", scenes)
    answering = score_answers(model.grounder, asked)
    described = watch(draw_scenes(scenes, level), f"{level.name}: captions", scenes)
    describing = score_captions(model.grounder, described)
    clips = watch(draw_reappearance_clips(sizes.clips, level), f"{level.name}: clips", sizes.clips)
    following = score_tracking(model.tracker, clips)
    return LevelScore(level.name, referring, following, answering, describing)


def plain(score: Any) -> dict[str, Any]:
    """A score as JSON has it: figures to four digits, null where there was no case."""
    figures: dict[str, Any] = _plain(asdict(score))
    return figures


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 4)
    return value
