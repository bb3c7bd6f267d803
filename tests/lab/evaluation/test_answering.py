"""Laws of the score of answers in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.evaluation.answering import normalised, score_answers
from lab.evaluation.held_out import Scene, draw_scene
from lab.training.language.questions import generate_questions
from lab.training.world.holdout import Split
from lab.training.world.levels import CURRICULUM
from streaming.vocabulary import QueryKind
from tests.scripted_grounder import ScriptedGrounder, refuse


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene(Split.UNSEEN.first_seed + 6, CURRICULUM[-1])


def asked_of(scene: Scene) -> dict[str, tuple[str, str]]:
    """Kind and answer by question."""
    said = generate_questions(scene.clip, scene.frame, np.random.default_rng((scene.clip.seed, 3)))
    return {one.text: (one.kind, one.answer) for one in said}


def test_who_knows_everything_is_always_right(scene: Scene) -> None:
    truth = asked_of(scene)
    grounder = ScriptedGrounder(lambda query: (f"{truth[query.text][1].upper()}.", ()))
    score = score_answers(grounder, [scene])
    assert score.overall.questions == len(truth)
    assert {right.right for right in (score.overall, *score.by_kind.values())} == {1.0}
    assert score.by_kind.keys() >= {"count", "presence"}


def test_who_does_not_answer_is_never_right(scene: Scene) -> None:
    assert score_answers(ScriptedGrounder(refuse), [scene]).overall.right == 0.0


def test_who_always_says_yes_gets_no_more_than_the_floor(scene: Scene) -> None:
    score = score_answers(ScriptedGrounder(lambda query: ("yes", ())), [scene])
    presence = score.by_kind["presence"]
    assert 0 < presence.right <= presence.commonest < 1
    assert score.by_kind["count"].right == 0.0 < score.by_kind["count"].commonest


def test_the_floor_of_all_kinds_knows_what_kind_is_asked(scene: Scene) -> None:
    score = score_answers(ScriptedGrounder(refuse), [scene])
    floors = [right.questions * right.commonest for right in score.by_kind.values()]
    assert len(floors) > 2
    assert score.overall.commonest == pytest.approx(sum(floors) / score.overall.questions)


def test_questions_are_asked_as_questions(scene: Scene) -> None:
    grounder = ScriptedGrounder(refuse)
    score_answers(grounder, [scene])
    (keyframe,) = grounder.keyframes
    assert {query.kind for query in keyframe.queries} == {QueryKind.ASK}


def test_of_nothing_asked_there_is_no_share() -> None:
    score = score_answers(ScriptedGrounder(refuse), [])
    assert score.overall.questions == 0 and math.isnan(score.overall.right)


@pytest.mark.parametrize("answer", ["the red cup", "The red cup.", " a RED  cup. ", "red cup"])
def test_case_articles_and_the_full_stop_do_not_matter(answer: str) -> None:
    assert normalised(answer) == "red cup"


@pytest.mark.parametrize("answer", ["", "redcup", "the red cups", "no red cup", "red cup, i think"])
def test_everything_else_does(answer: str) -> None:
    assert normalised(answer) != "red cup"
