"""Every answer is right by the masks, and no answer is the safe one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lab.training.language.lexicon import ANYTHING, NUMBERS, vocabulary
from lab.training.language.questions import KINDS_OF_QUESTION, PER_KIND, Question, questions
from lab.training.world.catalogue import KINDS
from lab.training.world.colours import COLOURS
from lab.training.world.levels import LADDER
from lab.training.world.scenes import Clip, draw_clip
from tests.truth_of_words import judged, noun, readings

Asked = list[tuple[Clip, Question]]


@pytest.fixture(scope="module")
def asked() -> Asked:
    clips = [draw_clip(seed, frames=1, size=(160, 160), level=LADDER[-1]) for seed in range(50)]
    return [(clip, one) for clip in clips for one in questions(clip, 0, np.random.default_rng(clip.seed))]


def of_kind(asked: Asked, kind: str) -> Asked:
    return [(clip, one) for clip, one in asked if one.kind == kind]


def visible(clip: Clip, words: str) -> list[int]:
    fits = noun(words)
    assert fits is not None, words
    return [i for i, thing in enumerate(clip.things) if clip.masks[0, i].any() and fits(thing)]


def slots(question: Question) -> tuple[str, dict[str, str]]:
    [found] = list(readings(question.text))
    return found


def test_counts_are_counted(asked: Asked) -> None:
    for clip, one in of_kind(asked, "count"):
        assert NUMBERS.index(one.answer) == len(visible(clip, slots(one)[1]["many"]))


def test_a_presence_is_there(asked: Asked) -> None:
    for clip, one in of_kind(asked, "presence"):
        words = slots(one)[1]["a"].split(" ", 1)[1]
        assert one.answer == ("yes" if visible(clip, words) else "no")


@pytest.mark.parametrize(("kind", "field"), [("colour", "colour"), ("kind", "kind")])
def test_what_is_asked_of_is_one_thing_and_so(asked: Asked, kind: str, field: str) -> None:
    for clip, one in of_kind(asked, kind):
        [index] = visible(clip, slots(one)[1]["other"].removeprefix("the "))
        assert getattr(clip.things[index], field) == one.answer


def test_comparisons_hold(asked: Asked) -> None:
    compared: set[str] = set()
    for clip, one in of_kind(asked, "comparison"):
        way, said = slots(one)
        names = [said["other"], said["another"]]
        lesser = names[1 - names.index(one.answer)]
        [winner], [loser] = ({*visible(clip, name.removeprefix("the "))} for name in (one.answer, lesser))
        only = clip.only([winner, loser])
        superlative = {"larger": "largest", "smaller": "smallest"}.get(way.split()[1])
        words = f"the {superlative} thing" if superlative else f"the thing on the {way.split()[1]}"
        assert judged(words, only, 0) == {(0,)}
        compared.add(way)
    assert len(compared) == 6


def test_all_kinds_are_asked_and_none_too_often(asked: Asked) -> None:
    assert {one.kind for _, one in asked} == set(KINDS_OF_QUESTION) - {"motion"}
    by_scene = Counter((clip.seed, one.kind) for clip, one in asked)
    assert max(by_scene.values()) <= PER_KIND


def test_no_answer_is_the_safe_one(asked: Asked) -> None:
    for kind in ("count", "presence"):
        answers = Counter(one.answer for _, one in of_kind(asked, kind))
        assert max(answers.values()) < 0.6 * sum(answers.values()), answers


def test_answers_are_short_and_of_known_words(asked: Asked) -> None:
    known = {*vocabulary(), *COLOURS, *KINDS, *ANYTHING}
    for _, one in asked:
        assert set(one.answer.split()) <= known
        assert len(one.answer.split()) <= 4


def test_people_are_asked_what_they_wear(asked: Asked) -> None:
    worn = [one.text for _, one in of_kind(asked, "colour") if "person" in one.text]
    assert worn and all(text.endswith("wear?") for text in worn)


def test_movement_is_asked_of_films_only_and_answered_as_the_picture_shows_it() -> None:
    ways = Counter[str]()
    for seed in range(60):
        film = draw_clip(seed, frames=4, stride=9.0, size=(160, 160), level=LADDER[-1])
        for one in questions(film, 3, np.random.default_rng(seed)):
            if one.kind != "motion":
                continue
            (thing,) = visible(film.at([3]), slots(one)[1]["other"].removeprefix("the "))
            across, down = film.centres[3, thing] - film.centres[1, thing]
            moved = max(abs(across), abs(down)) / 160
            shown = {"left": -across, "right": across, "up": -down, "down": down}
            assert {"yes": moved > 0.01, "no": moved < 0.05}.get(one.answer, shown.get(one.answer, 0) > 0), (
                one
            )
            ways[one.answer] += 1
    assert set(ways) == {"yes", "no", "left", "right", "up", "down"}


def test_a_question_is_about_what_decides_its_answer(asked: Asked) -> None:
    for clip, one in asked:
        if one.kind == "count":
            assert one.about == tuple(visible(clip, slots(one)[1]["many"]))
        elif one.kind in ("colour", "kind"):
            assert one.answer in (clip.things[one.about[0]].colour, clip.things[one.about[0]].kind)
        elif one.kind == "comparison":
            assert len(set(one.about)) == 2
        else:
            assert bool(one.about) == (one.answer == "yes")
