"""Laws of nano's vocabulary."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from engines.grounding.templates import DESCRIBE, Template, make_template
from lab.training.language.captions import generate_caption
from lab.training.language.expressions import generate_expressions
from lab.training.language.lexicon import plural
from lab.training.language.questions import generate_questions
from lab.training.language.real_names import NOUNS
from lab.training.tokenizer import SYNONYMS, UNKNOWN, maybe_synonym, nano_tokenizer
from lab.training.world.catalogue import CATEGORIES
from lab.training.world.colours import COLOURS
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import draw_clip

BUNDLED = Path(__file__).parents[3] / "engines" / "nano" / "sa2va" / "tokenizer.json"


@pytest.fixture(scope="module")
def template() -> Template:
    return make_template(nano_tokenizer(), image_tokens=64)


def in_vocabulary(template: Template, phrase: str) -> bool:
    """Return whether every word of the phrase is in the vocabulary."""
    return template.tokenizer.token_to_id("<unk>") not in template.tokenizer.encode(phrase).ids


def test_all_colours_and_categories_are_in_the_vocabulary(template: Template) -> None:
    for word in (*COLOURS, *CATEGORIES):
        assert in_vocabulary(template, f"the {word} thing")
    assert not in_vocabulary(template, "the submarine")
    assert not in_vocabulary(template, UNKNOWN)


def test_all_generated_texts_are_in_the_vocabulary(template: Template) -> None:
    for seed in range(12):
        clip = draw_clip(seed, frames=6, size=(96, 96), stride=4, level=CURRICULUM[-1])
        rng = np.random.default_rng(seed)
        texts = [one.text for one in generate_expressions(clip, 5, rng)]
        texts += [f"{one.text} {one.answer}" for one in generate_questions(clip, 5, rng)]
        caption = generate_caption(clip, 5, rng)
        texts += [] if caption is None else [re.sub("</?p>", " ", caption.text)]
        assert all(in_vocabulary(template, text) for text in texts), [
            text for text in texts if not in_vocabulary(template, text)
        ]


def test_the_caption_question_is_in_the_vocabulary(template: Template) -> None:
    assert in_vocabulary(template, DESCRIBE)


def test_case_does_not_matter(template: Template) -> None:
    assert template.segment_question("The RED Circle") == template.segment_question("the red circle")


def test_synonyms_are_sampled_and_in_the_vocabulary(template: Template) -> None:
    rng = np.random.default_rng(1)
    said = {maybe_synonym("circle", rng) for _ in range(200)}
    assert said == {"circle", *SYNONYMS["circle"]}
    assert all(in_vocabulary(template, word) for words in SYNONYMS.values() for word in words)
    assert maybe_synonym("giraffe", rng) == "giraffe"


def test_tokens_of_the_bundled_weights_keep_their_numbers() -> None:
    bundled = Tokenizer.from_file(str(BUNDLED)).get_vocab()
    numbers = nano_tokenizer().get_vocab()
    assert {word: numbers[word] for word in bundled} == bundled
    assert sorted(numbers.values()) == list(range(len(numbers)))


def test_every_noun_of_photographs_is_in_the_vocabulary(template: Template) -> None:
    for noun in NOUNS:
        for text in (f"the {noun}", f"all {plural(noun)}", f"the grey {noun} in the middle"):
            assert in_vocabulary(template, text), text
