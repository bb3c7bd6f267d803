"""Expressions are true of the masks, keep to their vocabulary, and are balanced by kind."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lab.training.language.expressions import (
    EXPRESSION_KINDS,
    MAX_ABSENT_PER_KIND,
    MAX_PRESENT_PER_KIND,
    Expression,
    generate_expressions,
)
from lab.training.scene_description import ObjectLabel
from lab.training.world.holdout import Split, is_held_out
from lab.training.world.levels import CURRICULUM, Level
from lab.training.world.scenes import Clip, draw_clip
from tests.expression_semantics import interpretations

PLAIN = CURRICULUM[0]
WORLD = CURRICULUM[-1]
FRAMES = 16


def draw(seed: int) -> Clip:
    return draw_clip(seed, frames=FRAMES, size=(160, 160), stride=2.5, level=WORLD)


def expressions_of(clip: Clip, seed: int) -> list[Expression]:
    """About the last frame."""
    return generate_expressions(clip, len(clip.frames) - 1, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [draw(split.first_seed + number) for split in Split for number in range(14)]


def test_the_referents_are_those_of_an_independent_reading(clips: list[Clip]) -> None:
    counts: Counter[str] = Counter()
    for clip in clips:
        for expression in expressions_of(clip, clip.seed):
            expected = {tuple(sorted(expression.referents))}
            assert interpretations(expression.text, clip, FRAMES - 1) == expected, (clip.seed, expression)
            counts[expression.kind if expression.referents else "absent"] += 1
    assert set(counts) == {*EXPRESSION_KINDS, "absent"}
    assert min(counts.values()) > 20, counts


@pytest.mark.parametrize("level", CURRICULUM, ids=lambda level: level.name)
def test_a_level_has_expressions_of_all_its_kinds_and_no_others(level: Level) -> None:
    clips = [draw_clip(seed, frames=8, size=(128, 128), stride=3, level=level) for seed in range(30)]
    kinds = {expression.kind for clip in clips for expression in expressions_of(clip, clip.seed)}
    assert kinds == set(level.expression_kinds)


def test_a_still_image_has_no_motion_expressions() -> None:
    for seed in range(20):
        clip = draw_clip(seed, frames=1, size=(128, 128), level=WORLD)
        assert "motion" not in {expression.kind for expression in expressions_of(clip, 0)}


def test_a_mostly_occluded_object_is_never_a_referent(clips: list[Clip]) -> None:
    for clip in clips:
        for expression in expressions_of(clip, 0):
            for index in expression.referents:
                assert clip.masks[-1, index].sum() >= 0.4 * clip.amodal_area_px[-1, index]


def test_kinds_are_balanced_and_about_a_third_is_absent(clips: list[Clip]) -> None:
    shares = []
    for clip in clips:
        kinds = Counter(one.kind if one.referents else "absent" for one in expressions_of(clip, 0))
        absent = kinds.pop("absent", 0)
        present = sum(kinds.values())
        assert max(kinds.values(), default=0) <= MAX_PRESENT_PER_KIND
        assert absent <= max(2, present // 2)
        assert absent <= MAX_ABSENT_PER_KIND * len(WORLD.expression_kinds)
        shares.append(absent / max(absent + present, 1))
    assert 0.15 < np.mean(shares) < 0.4


def test_expressions_are_a_function_of_the_generator() -> None:
    clip = draw(5)
    first, again, other = (expressions_of(clip, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_only_the_split_of_combinations_names_held_out_labels() -> None:
    """Neither as present nor as absent nor as a landmark."""
    held_out = [
        f"{colour} {category}"
        for colour in WORLD.colours
        for category in WORLD.categories
        if is_held_out(ObjectLabel(category, colour))
    ]
    held_out += [f"person in {name.split()[0]}" for name in held_out if name.endswith(" person")]
    for split in (Split.TRAINING, Split.UNSEEN, Split.LOOK_ALIKES):
        for number in range(15):
            for expression in expressions_of(draw(split.first_seed + number), number):
                assert not [name for name in held_out if f"{name} " in f"{expression.text} "], expression


def test_expressions_of_the_split_of_combinations_refer_to_held_out_labels() -> None:
    present = 0
    for number in range(20):
        clip = draw(Split.COMBINATIONS.first_seed + number)
        for expression in expressions_of(clip, number):
            labels = [clip.labels[index] for index in expression.referents]
            assert not labels or any(is_held_out(label) for label in labels)
            present += bool(labels)
    assert present > 100


def test_absent_labels_mostly_share_an_attribute_with_visible_objects() -> None:
    shared: list[int] = []
    for seed in range(60):
        clip = draw_clip(seed, frames=1, level=PLAIN)
        there = {word for label in clip.labels for word in label}
        for expression in expressions_of(clip, seed):
            _, *words = expression.text.split()
            is_label = len(words) == 2 and words[0] in PLAIN.colours and words[1] in PLAIN.categories
            if not expression.referents and is_label:
                shared.append(len(there & set(words)))
    assert len(shared) > 30
    assert np.mean(np.array(shared) == 2) > 0.4
    assert np.mean(np.array(shared) >= 1) > 0.8
