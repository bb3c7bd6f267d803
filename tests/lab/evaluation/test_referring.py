"""Scores of referring expressions: exact masks, reports of absence, masks of everything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from lab.evaluation.held_out import Scene, draw_scene, draw_scenes
from lab.evaluation.referring import answered_mask, ask_all_expressions, score_grounder
from lab.training.language.expressions import generate_expressions
from lab.training.world.holdout import Split
from lab.training.world.levels import CURRICULUM
from streaming.vocabulary import Answer, Mask, Query, QueryId, StreamId
from tests.scripted_grounder import ScriptedGrounder, refuse, whole_image

SEED = Split.UNSEEN.first_seed + 6


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene(SEED, CURRICULUM[-1])


def exact_grounder(scene: Scene) -> ScriptedGrounder:
    """Return a grounder that answers with the scene's ground truth."""
    expressions = generate_expressions(scene.clip, scene.frame, np.random.default_rng((scene.clip.seed, 2)))
    truth = {each.text: each.referents for each in expressions}

    def answer(query: Query) -> tuple[str, Sequence[Mask]]:
        return "", [scene.mask_of(truth[query.text])] if truth[query.text] else ()

    return ScriptedGrounder(answer)


def test_exact_masks_score_one_for_every_kind(scene: Scene) -> None:
    score = score_grounder(exact_grounder(scene), [scene])
    assert "motion" in score.by_kind and len(score.by_kind) > 5
    assert {fit.j_and_f for fit in (score.overall, *score.by_kind.values())} == {1.0}
    assert (score.wrongly_refused, score.absent_refused) == (0.0, 1.0)
    assert (score.scenes, score.ground_s) == (1, 0.25)


def test_kinds_sum_up_to_the_overall_figures(scene: Scene) -> None:
    score = score_grounder(ScriptedGrounder(whole_image), [scene])
    there = sum(fit.cases for fit in score.by_kind.values())
    assert there == score.overall.cases < score.phrases
    total = sum(fit.cases * fit.j for fit in score.by_kind.values())
    assert total / there == pytest.approx(score.overall.j)


def test_a_present_object_reported_absent_scores_zero() -> None:
    score = score_grounder(ScriptedGrounder(refuse), draw_scenes(2))
    assert score.scenes == 2
    assert (score.overall.j_and_f, score.wrongly_refused, score.absent_refused) == (0.0, 1.0, 1.0)


def test_full_masks_score_low() -> None:
    score = score_grounder(ScriptedGrounder(whole_image), draw_scenes(2))
    assert 0.0 < score.overall.j < 0.3
    assert score.absent_refused == 0.0


def test_all_expressions_are_asked_on_one_keyframe(scene: Scene) -> None:
    grounder = ScriptedGrounder(refuse)
    asked = [expression for expression, _ in ask_all_expressions(grounder, scene)]
    assert {one.kind for one in asked} >= {"both", "motion"}
    assert {bool(one.referents) for one in asked} == {True, False}
    (keyframe,) = grounder.keyframes
    assert len(keyframe.earlier) == 2


def test_an_answers_masks_are_united(scene: Scene) -> None:
    left = np.full((4, 4), -1.0, dtype=np.float32)
    right = left.copy()
    left[:, :1], right[:, 3:] = 1.0, 1.0
    answer = Answer(StreamId("s"), QueryId("q"), 1, 0, "", (), np.stack([left, right]))
    both = answered_mask(answer, scene)
    assert both.shape == scene.clip.masks.shape[2:]
    assert both[:, 0].all()
    assert both[:, -1].all()
    assert not both[:, both.shape[1] // 2].any()
