"""Accuracy of answers to questions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.evaluation.answering import normalise_answer, score_answers
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
    questions = generate_questions(scene.clip, scene.frame, np.random.default_rng((scene.clip.seed, 3)))
    return {each.text: (each.kind, each.answer) for each in questions}


def test_right_answers_have_accuracy_one(scene: Scene) -> None:
    truth = asked_of(scene)
    grounder = ScriptedGrounder(lambda query: (f"{truth[query.text][1].upper()}.", ()))
    score = score_answers(grounder, [scene])
    assert score.overall.questions == len(truth)
    assert {right.right for right in (score.overall, *score.by_kind.values())} == {1.0}
    assert score.by_kind.keys() >= {"count", "presence"}


def test_empty_answers_have_accuracy_zero(scene: Scene) -> None:
    assert score_answers(ScriptedGrounder(refuse), [scene]).overall.right == 0.0


def test_always_yes_scores_at_most_the_floor(scene: Scene) -> None:
    score = score_answers(ScriptedGrounder(lambda query: ("yes", ())), [scene])
    presence = score.by_kind["presence"]
    assert 0 < presence.right <= presence.commonest < 1
    assert score.by_kind["count"].right == 0.0 < score.by_kind["count"].commonest


def test_the_overall_floor_is_the_mean_of_the_kinds_floors(scene: Scene) -> None:
    score = score_answers(ScriptedGrounder(refuse), [scene])
    floors = [right.questions * right.commonest for right in score.by_kind.values()]
    assert len(floors) > 2
    assert score.overall.commonest == pytest.approx(sum(floors) / score.overall.questions)


def test_queries_have_the_kind_ask(scene: Scene) -> None:
    grounder = ScriptedGrounder(refuse)
    score_answers(grounder, [scene])
    (keyframe,) = grounder.keyframes
    assert {query.kind for query in keyframe.queries} == {QueryKind.ASK}


def test_without_questions_accuracy_is_nan() -> None:
    score = score_answers(ScriptedGrounder(refuse), [])
    assert score.overall.questions == 0 and math.isnan(score.overall.right)


@pytest.mark.parametrize("answer", ["the red cup", "The red cup.", " a RED  cup. ", "red cup"])
def test_case_articles_and_the_full_stop_are_ignored(answer: str) -> None:
    assert normalise_answer(answer) == "red cup"


@pytest.mark.parametrize("answer", ["", "redcup", "the red cups", "no red cup", "red cup, i think"])
def test_other_differences_count(answer: str) -> None:
    assert normalise_answer(answer) != "red cup"
