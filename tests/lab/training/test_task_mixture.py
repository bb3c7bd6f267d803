"""Laws of what is put to the model about a scene."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engines.grounding.templates import Template, make_template
from lab.training.language.expressions import Expression
from lab.training.language.lexicon import plural
from lab.training.language.questions import QUESTION_KINDS
from lab.training.task_mixture import ASKED, Shown, chosen, draw_shown, shows_window, vary
from lab.training.tokenizer import SYNONYMS, nano_tokenizer
from lab.training.scene_description import ObjectLabel
from lab.training.world.colours import COLOURS
from lab.training.world.holdout import is_held_out
from lab.training.world.levels import CURRICULUM, Level
from lab.training.world.scenes import draw_clip

WORLD = CURRICULUM[-1]


@pytest.fixture(scope="module")
def template() -> Template:
    return make_template(nano_tokenizer(), image_tokens=64)


@pytest.fixture(scope="module")
def shown(template: Template) -> list[Shown]:
    return [draw_shown(seed, WORLD, template, window=seed % 2 == 0, referring=5) for seed in range(24)]


def test_only_who_knows_words_about_motion_is_shown_windows() -> None:
    plain = [shows_window(CURRICULUM[0], step) for step in range(6)]
    world = [shows_window(WORLD, step) for step in range(6)]
    assert not any(plain)
    assert world == [True, False, False] * 2


def test_a_window_is_three_pictures_and_ends_where_it_is_asked_about(template: Template) -> None:
    shown = draw_shown(4, WORLD, template, window=True, referring=3)
    drawn = draw_clip(4, frames=4, stride=9, level=WORLD)
    np.testing.assert_array_equal(shown.clip.frames, drawn.frames[[0, 2, 3]])


def test_there_are_tasks_of_all_kinds(shown: list[Shown]) -> None:
    kinds = {task.kind for one in shown for task in one.tasks}
    assert {"present", "absent", "caption", "count", "presence"} <= kinds
    assert kinds <= {"present", "absent", "caption", *QUESTION_KINDS}


def test_every_seg_of_an_answer_points_at_something(shown: list[Shown], template: Template) -> None:
    for task in (task for one in shown for task in one.tasks):
        assert task.answer.count(template.seg_id) == len(task.meant)
        assert all(task.meant)


def test_what_is_absent_is_refused_and_what_is_asked_is_answered(
    shown: list[Shown], template: Template
) -> None:
    for task in (task for one in shown for task in one.tasks):
        assert (task.answer == template.refusal) == (task.kind == "absent")
        assert (template.seg_id in task.answer) == (task.kind in ("present", "caption"))


def test_a_scene_is_put_no_more_tasks_than_wanted(shown: list[Shown]) -> None:
    for one in shown:
        referring = [task for task in one.tasks if task.kind in ("present", "absent")]
        assert 1 <= len(referring) <= 5
        assert len(one.tasks) - len(referring) <= ASKED + 1


def test_what_is_hard_is_asked_oftener() -> None:
    easy = [Expression(f"the {word} car", "colour", (0,)) for word in "abcdefghij"]
    hard = [Expression(f"the car behind the {word} cup", "relation", (0,)) for word in "abcdefghij"]
    rng = np.random.default_rng(1)
    asked = [one.kind for _ in range(200) for one in chosen([*easy, *hard], 4, rng)]
    assert asked.count("relation") > 2 * asked.count("colour")


def test_what_is_hard_is_refused_oftener_too() -> None:
    there = [Expression(f"the {word} car", "colour", (0,)) for word in "abcdefghij"]
    gone = [
        Expression(f"the {word} thing", kind, ()) for kind in ("colour", "relation") for word in "abcdefghij"
    ]
    rng = np.random.default_rng(1)
    asked = [one for _ in range(200) for one in chosen([*there, *gone], 5, rng) if not one.referents]
    assert len(asked) == 400
    assert sum(one.kind == "relation" for one in asked) > 250


def test_a_third_rounded_down_is_about_motion_where_there_is_so_much() -> None:
    rare = [Expression(f"the {word} going left", "motion", (0,)) for word in "ab"]
    common = [Expression(f"the car behind the {word} cup", "relation", (0,)) for word in "abcdefghij" * 5]
    for count, least in ((8, 2), (5, 1), (2, 0)):
        asked = [chosen([*rare, *common], count, np.random.default_rng(seed)) for seed in range(20)]
        assert min(sum(one.kind == "motion" for one in said) for said in asked) == least
        assert {len(said) for said in asked} == {count}


def test_training_never_hears_of_a_held_out_combination(shown: list[Shown], template: Template) -> None:
    """In no question and no answer, of one thing or of several, in no synonym."""
    plainly = {other: word for word, others in SYNONYMS.items() for other in others}
    named = {name: kind for kind in WORLD.categories for name in (kind, plural(kind))}
    heard: list[ObjectLabel] = []
    for tokens in (said for one in shown for task in one.tasks for said in (task.question, task.answer)):
        words = [plainly.get(word, word) for word in template.tokenizer.decode(list(tokens)).split()]
        pairs = [*pairwise(words)]
        pairs += [
            (colour, kind)
            for kind, way, colour in zip(words, words[1:], words[2:], strict=False)
            if way == "in"
        ]
        heard += [
            ObjectLabel(named[kind], colour) for colour, kind in pairs if kind in named and colour in COLOURS
        ]
    assert len(heard) > 100 and any(thing.category == "person" for thing in heard)
    assert not [thing for thing in heard if is_held_out(thing)]


@pytest.mark.parametrize("level", CURRICULUM, ids=lambda level: level.name)
def test_every_level_has_tasks(template: Template, level: Level) -> None:
    assert draw_shown(20, level, template, window=False, referring=4).tasks


def test_the_same_seed_gives_the_same_tasks(template: Template) -> None:
    one, other = (draw_shown(3, WORLD, template, window=True, referring=5) for _ in range(2))
    assert one.tasks == other.tasks


def test_varied_words_keep_their_meaning() -> None:
    rng = np.random.default_rng(0)
    said = Expression("the red star", "both", (1,))
    texts = {vary(said, rng).text for _ in range(200)}
    assert len(texts) > 3
    assert all("red" in text and "star" in text for text in texts)
