"""Laws of the whole report: every part on the level that is asked for, as JSON can have it, watched."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from lab.evaluation.report import LevelScore, Model, Sizes, plain, score_level
from lab.training.world.levels import CURRICULUM
from tests.colour_sam import ColourSam
from tests.scripted_grounder import ScriptedGrounder, refuse


class ResultRecorder:
    """Counts what it hands on."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[int, int]] = {}

    def __call__(self, items: Iterable[Any], part: str, total: int) -> Iterable[Any]:
        count = 0
        for count, item in enumerate(items, start=1):  # noqa: B007
            yield item
        self.seen[part] = (count, total)


@pytest.fixture(scope="module")
def recorder() -> ResultRecorder:
    return ResultRecorder()


@pytest.fixture(scope="module")
def score(recorder: ResultRecorder) -> LevelScore:
    model = Model(ScriptedGrounder(refuse), ColourSam().compiled())
    return score_level(model, CURRICULUM[-1], Sizes(scenes=2, clips=1), recorder)


def test_every_part_is_measured_at_its_size(score: LevelScore) -> None:
    assert score.level == "world"
    assert score.referring.keys() == {"unseen", "combinations", "look_alikes"}
    assert {one.scenes for one in score.referring.values()} == {2}
    assert (score.following.clips, score.describing.captions) == (1, 2)
    assert score.answering.overall.questions > 0


def test_held_out_sets_differ(score: LevelScore) -> None:
    assert len({one.phrases for one in score.referring.values()}) > 1


def test_whoever_calls_sees_every_part_to_its_end(score: LevelScore, recorder: ResultRecorder) -> None:
    assert len(recorder.seen) == 6
    assert all(count == total for count, total in recorder.seen.values())


def test_figures_without_a_case_are_null_and_not_nan(score: LevelScore) -> None:
    said = json.dumps(plain(score), allow_nan=False)
    assert json.loads(said)["describing"]["grounded"] is None


def test_figures_are_rounded(score: LevelScore) -> None:
    found = plain(score)["following"]["j_copy"]
    assert found == pytest.approx(score.following.j_copy, abs=5e-5) and found == np.round(found, 4)
