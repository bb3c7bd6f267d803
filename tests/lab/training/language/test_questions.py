"""Every answer is right by the masks, and no constant answer is right most of the time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lab.training.language.lexicon import GENERIC_NOUNS, NUMBERS, all_words
from lab.training.language.questions import MAX_PER_KIND, QUESTION_KINDS, Question, generate_questions
from lab.training.world.catalogue import CATEGORIES
from lab.training.world.colours import COLOURS
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import Clip, draw_clip
from tests.expression_semantics import interpretations, parse_noun_phrase, parses

Asked = list[tuple[Clip, Question]]


@pytest.fixture(scope="module")
def asked() -> Asked:
    clips = [draw_clip(seed, frames=1, size=(160, 160), level=CURRICULUM[-1]) for seed in range(50)]
    return [
        (clip, question)
        for clip in clips
        for question in generate_questions(clip, 0, np.random.default_rng(clip.seed))
    ]


def of_kind(asked: Asked, kind: str) -> Asked:
    return [(clip, question) for clip, question in asked if question.kind == kind]


def visible(clip: Clip, words: str) -> list[int]:
    matches = parse_noun_phrase(words)
    assert matches is not None, words
    return [i for i, label in enumerate(clip.labels) if clip.masks[0, i].any() and matches(label)]


def parse(question: Question) -> tuple[str, dict[str, str]]:
    [found] = list(parses(question.text))
    return found


def test_counts_are_right(asked: Asked) -> None:
    for clip, question in of_kind(asked, "count"):
        assert NUMBERS.index(question.answer) == len(visible(clip, parse(question)[1]["many"]))


def test_presence_is_right(asked: Asked) -> None:
    for clip, question in of_kind(asked, "presence"):
        words = parse(question)[1]["a"].split(" ", 1)[1]
        assert question.answer == ("yes" if visible(clip, words) else "no")


@pytest.mark.parametrize(("kind", "field"), [("colour", "colour"), ("kind", "category")])
def test_attributes_are_asked_of_one_object_and_right(asked: Asked, kind: str, field: str) -> None:
    for clip, question in of_kind(asked, kind):
        [index] = visible(clip, parse(question)[1]["other"].removeprefix("the "))
        assert getattr(clip.labels[index], field) == question.answer


def test_comparisons_are_right(asked: Asked) -> None:
    compared: set[str] = set()
    for clip, question in of_kind(asked, "comparison"):
        meaning, fields = parse(question)
        names = [fields["other"], fields["another"]]
        lesser = names[1 - names.index(question.answer)]
        [winner], [loser] = (
            {*visible(clip, name.removeprefix("the "))} for name in (question.answer, lesser)
        )
        two = clip.take_objects([winner, loser])
        superlative = {"larger": "largest", "smaller": "smallest"}.get(meaning.split()[1])
        text = f"the {superlative} thing" if superlative else f"the thing on the {meaning.split()[1]}"
        assert interpretations(text, two, 0) == {(0,)}
        compared.add(meaning)
    assert len(compared) == 6


def test_every_kind_is_asked_and_none_more_often_than_the_limit(asked: Asked) -> None:
    assert {question.kind for _, question in asked} == set(QUESTION_KINDS) - {"motion"}
    by_scene = Counter((clip.seed, question.kind) for clip, question in asked)
    assert max(by_scene.values()) <= MAX_PER_KIND


def test_no_constant_answer_is_right_most_of_the_time(asked: Asked) -> None:
    for kind in ("count", "presence"):
        answers = Counter(question.answer for _, question in of_kind(asked, kind))
        assert max(answers.values()) < 0.6 * sum(answers.values()), answers


def test_answers_are_short_and_of_the_vocabulary(asked: Asked) -> None:
    known = {*all_words(CATEGORIES, COLOURS), *GENERIC_NOUNS}
    for _, question in asked:
        assert set(question.answer.split()) <= known
        assert len(question.answer.split()) <= 4


def test_colours_of_people_are_asked_as_what_they_wear(asked: Asked) -> None:
    texts = [question.text for _, question in of_kind(asked, "colour") if "person" in question.text]
    assert texts and all(text.endswith("wear?") for text in texts)


def test_motion_is_asked_of_clips_and_answered_as_the_image_shows_it() -> None:
    answers = Counter[str]()
    for seed in range(60):
        clip = draw_clip(seed, frames=4, stride=9.0, size=(160, 160), level=CURRICULUM[-1])
        for question in generate_questions(clip, 3, np.random.default_rng(seed)):
            if question.kind != "motion":
                continue
            last = clip.take_frames([3])
            (index,) = visible(last, parse(question)[1]["other"].removeprefix("the "))
            across, down = clip.centres_px[3, index] - clip.centres_px[1, index]
            moved = max(abs(across), abs(down)) / 160
            along = {"left": -across, "right": across, "up": -down, "down": down}
            is_right = {"yes": moved > 0.01, "no": moved < 0.05}
            assert is_right.get(question.answer, along.get(question.answer, 0) > 0), question
            answers[question.answer] += 1
    assert set(answers) == {"yes", "no", "left", "right", "up", "down"}


def test_a_question_is_about_the_objects_that_decide_its_answer(asked: Asked) -> None:
    for clip, question in asked:
        if question.kind == "count":
            assert question.about == tuple(visible(clip, parse(question)[1]["many"]))
        elif question.kind in ("colour", "kind"):
            assert question.answer in clip.labels[question.about[0]]
        elif question.kind == "comparison":
            assert len(set(question.about)) == 2
        else:
            assert bool(question.about) == (question.answer == "yes")
