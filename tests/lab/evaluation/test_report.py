"""The report of a level: all measurements, JSON values, progress."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from lab.evaluation.report import LevelScore, Model, Sizes, score_level, to_json
from lab.training.world.levels import CURRICULUM
from tests.colour_sam import ColourSam
from tests.scripted_grounder import ScriptedGrounder, refuse


class CountingProgress:
    """Counts the items that it passes on."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[int, int]] = {}

    def __call__(self, items: Iterable[Any], part: str, total: int) -> Iterable[Any]:
        count = 0
        for count, item in enumerate(items, start=1):  # noqa: B007
            yield item
        self.seen[part] = (count, total)


@pytest.fixture(scope="module")
def progress() -> CountingProgress:
    return CountingProgress()


@pytest.fixture(scope="module")
def score(progress: CountingProgress) -> LevelScore:
    model = Model(ScriptedGrounder(refuse), ColourSam().compiled())
    return score_level(model, CURRICULUM[-1], Sizes(scenes=2, clips=1), progress)


def test_every_measurement_has_the_requested_size(score: LevelScore) -> None:
    assert score.level == "world"
    assert score.referring.keys() == {"unseen", "combinations", "look_alikes"}
    assert {one.scenes for one in score.referring.values()} == {2}
    assert (score.following.clips, score.describing.captions) == (1, 2)
    assert score.answering.overall.questions > 0


def test_held_out_sets_differ(score: LevelScore) -> None:
    assert len({one.phrases for one in score.referring.values()}) > 1


def test_progress_is_reported_for_every_measurement(score: LevelScore, progress: CountingProgress) -> None:
    assert len(progress.seen) == 6
    assert all(count == total for count, total in progress.seen.values())


def test_figures_without_cases_are_null(score: LevelScore) -> None:
    text = json.dumps(to_json(score), allow_nan=False)
    assert json.loads(text)["describing"]["grounded"] is None


def test_figures_are_rounded(score: LevelScore) -> None:
    found = to_json(score)["following"]["j_copy"]
    assert found == pytest.approx(score.following.j_copy, abs=5e-5) and found == np.round(found, 4)
