"""A caption's phrases point at what they say."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lab.training.language.captions import MOST, Caption, caption
from lab.training.language.lexicon import NUMBERS, vocabulary
from lab.training.world.holdout import Split
from lab.training.world.levels import LADDER
from lab.training.world.scenes import Clip, draw_clip
from tests.truth_of_words import judged, noun


@pytest.fixture(scope="module")
def told() -> list[tuple[Clip, Caption]]:
    seeds = [split.first_seed + number for split in Split for number in range(20)]
    clips = [draw_clip(seed, frames=1, size=(160, 160), level=LADDER[-1]) for seed in seeds]
    found = [(clip, caption(clip, 0, np.random.default_rng(clip.seed))) for clip in clips]
    return [(clip, one) for clip, one in found if one is not None]


def test_most_scenes_can_be_described(told: list[tuple[Clip, Caption]]) -> None:
    assert len(told) > 70


def test_every_marked_span_is_a_phrase_in_order(told: list[tuple[Clip, Caption]]) -> None:
    for _, one in told:
        assert re.findall("<p>(.+?)</p>", one.text) == [phrase.text for phrase in one.phrases]
        assert 1 <= len(one.phrases) <= MOST + 2


def test_a_phrase_means_all_that_fit_and_says_how_many(told: list[tuple[Clip, Caption]]) -> None:
    for clip, one in told:
        for phrase in one.phrases:
            article, name = phrase.text.split(" ", 1)
            fits = noun(name)
            assert fits is not None, phrase
            visible = [i for i, thing in enumerate(clip.things) if clip.masks[0, i].any() and fits(thing)]
            assert tuple(visible) == phrase.targets
            assert len(visible) == (NUMBERS.index(article) if article in NUMBERS else 1)


def test_what_is_said_of_two_things_holds(told: list[tuple[Clip, Caption]]) -> None:
    checked = 0
    for clip, one in told:
        plain = re.sub("</?p>", "", one.text)
        found = re.search(
            r"(the [\w ]+?) is (?:to the )?(left of|right of|above|below|behind|in front of) (the [\w ]+)\.",
            plain,
        )
        if found is None:
            continue
        subject, way, other = found.groups()
        targets = next(phrase.targets for phrase in one.phrases if phrase.text == subject)
        assert judged(f"{subject} {way} {other}", clip, 0) == {targets}, plain
        checked += 1
    assert checked > 30


def test_captions_are_of_known_words(told: list[tuple[Clip, Caption]]) -> None:
    for _, one in told:
        assert set(re.findall(r"\w+", re.sub("</?p>", "", one.text))) <= set(vocabulary())
