"""Laws of the task mixture."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engines.grounding.templates import Template, make_template
from lab.training.grounding_recipe import LANGUAGE_EVERY
from lab.training.language.expressions import Expression
from lab.training.language.lexicon import plural
from lab.training.language.questions import QUESTION_KINDS
from lab.training.nano_config import VISION_SIDE_PX
from lab.training.scene_description import ObjectLabel
from lab.training.task_mixture import (
    MAX_QUESTIONS,
    MIX_STEPS,
    WINDOW_EVERY,
    TaskSample,
    draw_photo_sample,
    draw_task_sample,
    has_photographs,
    has_windows,
    paraphrase,
    sample_expressions,
)
from lab.training.tokenizer import SYNONYMS, nano_tokenizer
from lab.training.world.colours import COLOURS
from lab.training.world.holdout import is_held_out
from lab.training.world.levels import CURRICULUM, Level
from lab.training.world.photo_samples import PhotoSampler, load_sampler
from lab.training.world.scenes import draw_clip
from tests.photo_folder import write_photo_folder

WORLD = CURRICULUM[-1]


@pytest.fixture(scope="module")
def template() -> Template:
    return make_template(nano_tokenizer(), image_tokens=64)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> PhotoSampler:
    return load_sampler(write_photo_folder(tmp_path_factory.mktemp("photos")), "train")


@pytest.fixture(scope="module")
def samples(template: Template) -> list[TaskSample]:
    return [
        draw_task_sample(seed, WORLD, template, window=seed % 2 == 0, expressions=5) for seed in range(24)
    ]


def test_only_levels_with_expressions_of_motion_have_windows() -> None:
    plain = [has_windows(CURRICULUM[0], step) for step in range(6)]
    world = [has_windows(WORLD, step) for step in range(6)]
    assert not any(plain)
    assert world == [True, False, False] * 2


def test_a_window_is_three_of_four_drawn_frames_and_ends_with_the_last(template: Template) -> None:
    sample = draw_task_sample(4, WORLD, template, window=True, expressions=3)
    drawn = draw_clip(4, frames=4, size=(VISION_SIDE_PX,) * 2, stride=9, level=WORLD)
    np.testing.assert_array_equal(sample.clip.frames, drawn.frames[[0, 2, 3]])


def test_there_are_tasks_of_all_kinds(samples: list[TaskSample]) -> None:
    kinds = {task.kind for one in samples for task in one.tasks}
    assert {"present", "absent", "caption", "count", "presence"} <= kinds
    assert kinds <= {"present", "absent", "caption", *QUESTION_KINDS}


def test_every_seg_of_an_answer_has_a_referent(samples: list[TaskSample], template: Template) -> None:
    for task in (task for one in samples for task in one.tasks):
        assert task.answer.count(template.seg_id) == len(task.referents)
        assert all(task.referents)


def test_absent_objects_are_refused_and_others_answered(
    samples: list[TaskSample], template: Template
) -> None:
    for task in (task for one in samples for task in one.tasks):
        assert (task.answer == template.refusal) == (task.kind == "absent")
        assert (template.seg_id in task.answer) == (task.kind in ("present", "caption"))


def test_a_sample_has_at_most_the_requested_number_of_tasks(samples: list[TaskSample]) -> None:
    for one in samples:
        referring = [task for task in one.tasks if task.kind in ("present", "absent")]
        assert 1 <= len(referring) <= 5
        assert len(one.tasks) - len(referring) <= MAX_QUESTIONS + 1


def test_hard_kinds_of_expressions_are_sampled_more_often() -> None:
    easy = [Expression(f"the {word} car", "colour", (0,)) for word in "abcdefghij"]
    hard = [Expression(f"the car behind the {word} cup", "relation", (0,)) for word in "abcdefghij"]
    rng = np.random.default_rng(1)
    asked = [one.kind for _ in range(200) for one in sample_expressions([*easy, *hard], 4, rng)]
    assert asked.count("relation") > 2 * asked.count("colour")


def test_hard_kinds_of_absent_expressions_are_sampled_more_often() -> None:
    present = [Expression(f"the {word} car", "colour", (0,)) for word in "abcdefghij"]
    absent = [
        Expression(f"the {word} thing", kind, ()) for kind in ("colour", "relation") for word in "abcdefghij"
    ]
    rng = np.random.default_rng(1)
    asked = [
        one
        for _ in range(200)
        for one in sample_expressions([*present, *absent], 5, rng)
        if not one.referents
    ]
    assert len(asked) == 400
    assert sum(one.kind == "relation" for one in asked) > 250


def test_at_least_a_third_is_about_motion_where_there_are_so_many() -> None:
    rare = [Expression(f"the {word} going left", "motion", (0,)) for word in "ab"]
    common = [Expression(f"the car behind the {word} cup", "relation", (0,)) for word in "abcdefghij" * 5]
    for count, least in ((8, 2), (5, 1), (2, 0)):
        asked = [
            sample_expressions([*rare, *common], count, np.random.default_rng(seed)) for seed in range(20)
        ]
        assert min(sum(one.kind == "motion" for one in sampled) for sampled in asked) == least
        assert {len(sampled) for sampled in asked} == {count}


def test_no_text_names_a_held_out_label(samples: list[TaskSample], template: Template) -> None:
    """In no question and no answer, in singular and plural, also by synonyms."""
    canonical = {other: word for word, others in SYNONYMS.items() for other in others}
    named = {name: kind for kind in WORLD.categories for name in (kind, plural(kind))}
    labels: list[ObjectLabel] = []
    for tokens in (part for one in samples for task in one.tasks for part in (task.question, task.answer)):
        words = [canonical.get(word, word) for word in template.tokenizer.decode(list(tokens)).split()]
        pairs = [*pairwise(words)]
        pairs += [
            (colour, kind)
            for kind, preposition, colour in zip(words, words[1:], words[2:], strict=False)
            if preposition == "in"
        ]
        labels += [
            ObjectLabel(named[kind], colour) for colour, kind in pairs if kind in named and colour in COLOURS
        ]
    assert len(labels) > 100 and any(label.category == "person" for label in labels)
    assert not [label for label in labels if is_held_out(label)]


@pytest.mark.parametrize("level", CURRICULUM, ids=lambda level: level.name)
def test_every_level_has_tasks(template: Template, level: Level) -> None:
    assert draw_task_sample(20, level, template, window=False, expressions=4).tasks


def test_equal_seeds_give_equal_tasks(template: Template) -> None:
    one, other = (draw_task_sample(3, WORLD, template, window=True, expressions=5) for _ in range(2))
    assert one.tasks == other.tasks


def test_paraphrases_keep_the_meaning() -> None:
    rng = np.random.default_rng(0)
    expression = Expression("the red star", "both", (1,))
    texts = {paraphrase(expression, rng).text for _ in range(200)}
    assert len(texts) > 3
    assert all("red" in text and "star" in text for text in texts)


def test_photographs_and_drawn_scenes_alternate_with_windows_and_language_steps() -> None:
    cycle = MIX_STEPS * WINDOW_EVERY * LANGUAGE_EVERY
    drawn = [step for step in range(cycle) if not has_photographs(step)]
    assert 0.2 < len(drawn) / cycle < 0.35
    assert any(has_windows(WORLD, step) for step in drawn)
    for steps in (drawn, [step for step in range(cycle) if has_photographs(step)]):
        assert {step % LANGUAGE_EVERY for step in steps} == set(range(LANGUAGE_EVERY))


def test_a_photograph_has_tasks_in_the_words_of_its_nouns(template: Template, photos: PhotoSampler) -> None:
    tasks = []
    for seed in range(8):
        sample = draw_photo_sample(photos, seed, template, expressions=4, side_px=96)
        assert sample.clip.frames.shape == (1, 96, 96, 3)
        again = draw_photo_sample(photos, seed, template, expressions=4, side_px=96)
        assert sample.tasks == again.tasks
        tasks += sample.tasks
    assert {"present", "absent"} <= {task.kind for task in tasks}
    unknown = template.tokenizer.token_to_id("<unk>")
    assert sum(unknown in task.question for task in tasks) < len(tasks) / 3
    assert not any(unknown in task.answer for task in tasks)
