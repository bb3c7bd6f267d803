"""Laws of the score of captions: the true one, one without masks, one that lies, none."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from lab.evaluation.describing import score_captions
from lab.evaluation.held_out import Scene, draw_scene
from lab.training.language.captions import Caption, generate_caption
from lab.training.language.frame_facts import FrameFacts
from lab.training.world.holdout import Split
from lab.training.world.levels import CURRICULUM
from streaming.vocabulary import Mask, QueryKind
from tests.scripted_grounder import ScriptedGrounder, refuse


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene(Split.UNSEEN.first_seed + 6, CURRICULUM[-1])


@pytest.fixture(scope="module")
def told(scene: Scene) -> Caption:
    found = generate_caption(scene.clip, scene.frame, np.random.default_rng(1))
    assert found is not None
    return found


def saying(text: str, masks: Sequence[Mask]) -> ScriptedGrounder:
    return ScriptedGrounder(lambda query: (text, masks))


def with_seg(told: Caption) -> str:
    return told.text.replace("</p>", "</p> [SEG]")


def test_the_true_caption_is_grounded_in_every_phrase(scene: Scene, told: Caption) -> None:
    masks = [scene.mask_of(phrase.referents) for phrase in told.phrases]
    score = score_captions(saying(with_seg(told), masks), [scene])
    assert (score.true, score.grounded) == (1.0, 1.0)
    assert score.captions == 1 and score.phrases == score.phrases_per_caption == len(told.phrases)
    named = {index for phrase in told.phrases for index in phrase.referents}
    assert score.named == pytest.approx(len(named) / len(FrameFacts(scene.clip, scene.frame).visible))


def test_true_words_with_masks_elsewhere_are_true_and_not_grounded(scene: Scene, told: Caption) -> None:
    elsewhere = [~scene.mask_of(phrase.referents) for phrase in told.phrases]
    score = score_captions(saying(with_seg(told), elsewhere), [scene])
    assert (score.true, score.grounded) == (1.0, 0.0) and score.named > 0


def test_a_phrase_without_a_mask_points_at_nothing(scene: Scene, told: Caption) -> None:
    first = [scene.mask_of(told.phrases[0].referents)]
    score = score_captions(saying(told.text, first), [scene])
    assert score.true == 1.0 and score.grounded == pytest.approx(1 / len(told.phrases))


def test_a_phrase_that_names_nothing_there_is_missed_wherever_it_points(scene: Scene) -> None:
    every = scene.mask_of(range(len(scene.clip.labels)))
    score = score_captions(saying("there is <p>a unicorn</p> [SEG].", [every]), [scene])
    assert (score.phrases, score.true, score.grounded, score.named) == (1, 0.0, 0.0, 0.0)


def test_a_model_that_describes_nothing_has_no_shares_and_names_nothing(scene: Scene) -> None:
    score = score_captions(ScriptedGrounder(refuse), [scene])
    assert (score.captions, score.phrases, score.phrases_per_caption, score.named) == (1, 0, 0.0, 0.0)
    assert math.isnan(score.grounded) and math.isnan(score.true)


def test_a_scene_is_described_once(scene: Scene) -> None:
    grounder = ScriptedGrounder(refuse)
    score_captions(grounder, [scene, scene])
    kinds = [query.kind for keyframe in grounder.keyframes for query in keyframe.queries]
    assert kinds == [QueryKind.DESCRIBE] * 2
