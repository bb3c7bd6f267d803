"""Scores of captions: true, without masks, false, empty."""

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
def caption(scene: Scene) -> Caption:
    found = generate_caption(scene.clip, scene.frame, np.random.default_rng(1))
    assert found is not None
    return found


def captioner(text: str, masks: Sequence[Mask]) -> ScriptedGrounder:
    return ScriptedGrounder(lambda query: (text, masks))


def with_seg(caption: Caption) -> str:
    return caption.text.replace("</p>", "</p> [SEG]")


def test_every_phrase_of_the_true_caption_is_grounded(scene: Scene, caption: Caption) -> None:
    masks = [scene.mask_of(phrase.referents) for phrase in caption.phrases]
    score = score_captions(captioner(with_seg(caption), masks), [scene])
    assert (score.true, score.grounded) == (1.0, 1.0)
    assert score.captions == 1 and score.phrases == score.phrases_per_caption == len(caption.phrases)
    named = {index for phrase in caption.phrases for index in phrase.referents}
    assert score.named == pytest.approx(len(named) / len(FrameFacts(scene.clip, scene.frame).visible))


def test_true_phrases_with_wrong_masks_are_true_and_not_grounded(scene: Scene, caption: Caption) -> None:
    elsewhere = [~scene.mask_of(phrase.referents) for phrase in caption.phrases]
    score = score_captions(captioner(with_seg(caption), elsewhere), [scene])
    assert (score.true, score.grounded) == (1.0, 0.0) and score.named > 0


def test_a_phrase_without_a_mask_is_not_grounded(scene: Scene, caption: Caption) -> None:
    first = [scene.mask_of(caption.phrases[0].referents)]
    score = score_captions(captioner(caption.text, first), [scene])
    assert score.true == 1.0 and score.grounded == pytest.approx(1 / len(caption.phrases))


def test_a_phrase_about_an_absent_object_is_false_and_not_grounded(scene: Scene) -> None:
    every = scene.mask_of(range(len(scene.clip.labels)))
    score = score_captions(captioner("there is <p>a unicorn</p> [SEG].", [every]), [scene])
    assert (score.phrases, score.true, score.grounded, score.named) == (1, 0.0, 0.0, 0.0)


def test_an_empty_caption_has_no_shares_and_names_no_object(scene: Scene) -> None:
    score = score_captions(ScriptedGrounder(refuse), [scene])
    assert (score.captions, score.phrases, score.phrases_per_caption, score.named) == (1, 0, 0.0, 0.0)
    assert math.isnan(score.grounded) and math.isnan(score.true)


def test_a_scene_gets_one_caption(scene: Scene) -> None:
    grounder = ScriptedGrounder(refuse)
    score_captions(grounder, [scene, scene])
    kinds = [query.kind for keyframe in grounder.keyframes for query in keyframe.queries]
    assert kinds == [QueryKind.DESCRIBE] * 2
