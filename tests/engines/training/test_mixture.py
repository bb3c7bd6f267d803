"""Laws of the batches that training sees."""

from __future__ import annotations

import re

import numpy as np
import pytest

from engines.grounding.templates import SEG, Template, make_template
from engines.training.language.captions import caption
from engines.training.language.expressions import Expression, expressions
from engines.training.language.questions import questions
from engines.training.mixture import GRID, Batch, draw_batch, nano_tokenizer, vary
from engines.training.world.colours import COLOURS
from engines.training.world.levels import LADDER, Level
from engines.training.world.scenes import draw_clip
from engines.training.world.things import KINDS


@pytest.fixture(scope="module")
def template() -> Template:
    return make_template(nano_tokenizer(), image_tokens=64)


@pytest.fixture(scope="module")
def batch(template: Template) -> Batch:
    return draw_batch(10, pictures=4, questions=6, template=template)


def test_every_word_of_the_world_is_known(template: Template) -> None:
    for word in (*COLOURS, *KINDS):
        assert template.knows(f"the {word} thing")
    assert not template.knows("the giraffe")


def test_all_that_the_world_says_is_of_known_words(template: Template) -> None:
    for seed in range(12):
        clip = draw_clip(seed, frames=6, size=(96, 96), stride=4, level=LADDER[-1])
        rng = np.random.default_rng(seed)
        texts = [one.text for one in expressions(clip, 5, rng)]
        texts += [f"{one.text} {one.answer}" for one in questions(clip, 5, rng)]
        told = caption(clip, 5, rng)
        texts += [] if told is None else [re.sub("</?p>", " ", told.text)]
        assert all(template.knows(text) for text in texts), [
            text for text in texts if not template.knows(text)
        ]


@pytest.mark.parametrize("level", LADDER, ids=lambda level: level.name)
def test_every_level_makes_batches(template: Template, level: Level) -> None:
    drawn = draw_batch(20, pictures=2, questions=4, template=template, level=level)
    assert bool((drawn.masks[drawn.present].sum(dim=(1, 2)) > 1).all())


def test_case_does_not_matter(template: Template) -> None:
    assert template.question("The RED Circle") == template.question("the red circle")


def test_seg_stands_where_the_batch_says(batch: Batch, template: Template) -> None:
    for row in range(4):
        for index in range(6):
            token = int(batch.packed.ids[row, batch.seg[row, index]])
            assert (token == template.seg_id) == bool(batch.present[row, index])


def test_answers_are_predicted_from_the_place_before(batch: Batch) -> None:
    following = batch.packed.ids[batch.answer_rows, batch.answer_places + 1]
    assert bool((following == batch.answer_ids).all())


def test_an_absent_thing_is_refused_and_has_no_mask(batch: Batch, template: Template) -> None:
    absent = (~batch.present).nonzero()
    assert len(absent) > 0
    for row, index in absent.tolist():
        first = int(batch.packed.ids[row, batch.decided[row, index] + 1])
        assert first == template.refusal[0]
        assert float(batch.masks[row, index].sum()) == 0


def test_a_present_thing_has_a_mask(batch: Batch) -> None:
    assert bool((batch.masks[batch.present].sum(dim=(1, 2)) > 4).all())


def test_patches_with_a_kind_have_a_colour(batch: Batch) -> None:
    assert batch.kinds.shape == (4, GRID, GRID)
    assert bool(((batch.kinds > 0) == (batch.colours > 0)).all())


def test_the_image_tokens_are_where_the_batch_says(batch: Batch, template: Template) -> None:
    stop = batch.image_start + batch.image_side**2
    assert bool((batch.packed.ids[:, batch.image_start : stop] == template.image_id).all())
    assert SEG not in template.tokenizer.decode(batch.packed.ids[0, : batch.image_start].tolist())


def test_the_same_seed_gives_the_same_batch(batch: Batch, template: Template) -> None:
    again = draw_batch(10, pictures=4, questions=6, template=template)
    assert again.said == batch.said
    assert bool((again.pixels == batch.pixels).all())


def test_varied_words_keep_their_meaning(template: Template) -> None:
    rng = np.random.default_rng(0)
    said = Expression("the red star", "both", (1,))
    texts = {vary(said, rng).text for _ in range(200)}
    assert len(texts) > 3
    assert all("red" in text and "star" in text for text in texts)
