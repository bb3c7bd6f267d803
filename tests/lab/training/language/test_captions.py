"""The phrases of a caption have all referents that match them, and its relations hold."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lab.training.language.captions import MAX_LISTED, Caption, generate_caption
from lab.training.language.lexicon import NUMBERS, all_words
from lab.training.world.catalogue import CATEGORIES
from lab.training.world.colours import COLOURS
from lab.training.world.holdout import Split
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import Clip, draw_clip
from tests.expression_semantics import interpretations, parse_noun_phrase

Captioned = list[tuple[Clip, Caption]]


@pytest.fixture(scope="module")
def captioned() -> Captioned:
    seeds = [split.first_seed + number for split in Split for number in range(20)]
    clips = [draw_clip(seed, frames=1, size=(160, 160), level=CURRICULUM[-1]) for seed in seeds]
    found = [(clip, generate_caption(clip, 0, np.random.default_rng(clip.seed))) for clip in clips]
    return [(clip, caption) for clip, caption in found if caption is not None]


def test_most_scenes_have_a_caption(captioned: Captioned) -> None:
    assert len(captioned) > 70


def test_every_marked_span_is_a_phrase_in_order(captioned: Captioned) -> None:
    for _, caption in captioned:
        assert re.findall("<p>(.+?)</p>", caption.text) == [phrase.text for phrase in caption.phrases]
        assert 1 <= len(caption.phrases) <= MAX_LISTED + 2


def test_the_referents_of_a_phrase_are_all_that_match_and_its_number_is_right(captioned: Captioned) -> None:
    for clip, caption in captioned:
        for phrase in caption.phrases:
            article, name = phrase.text.split(" ", 1)
            matches = parse_noun_phrase(name)
            assert matches is not None, phrase
            visible = [i for i, label in enumerate(clip.labels) if clip.masks[0, i].any() and matches(label)]
            assert tuple(visible) == phrase.referents
            assert len(visible) == (NUMBERS.index(article) if article in NUMBERS else 1)


def test_relations_hold(captioned: Captioned) -> None:
    checked = 0
    for clip, caption in captioned:
        plain = re.sub("</?p>", "", caption.text)
        found = re.search(
            r"(the [\w ]+?) is (?:to the )?(left of|right of|above|below|behind|in front of) (the [\w ]+)\.",
            plain,
        )
        if found is None:
            continue
        subject, relation, landmark = found.groups()
        referents = next(phrase.referents for phrase in caption.phrases if phrase.text == subject)
        assert interpretations(f"{subject} {relation} {landmark}", clip, 0) == {referents}, plain
        checked += 1
    assert checked > 30


def test_captions_consist_of_words_of_the_vocabulary(captioned: Captioned) -> None:
    known = set(all_words(CATEGORIES, COLOURS))
    for _, caption in captioned:
        assert set(re.findall(r"\w+", re.sub("</?p>", "", caption.text))) <= known
