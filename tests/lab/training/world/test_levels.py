"""Every curriculum level has all that the level before it has, and names only what exists."""

from __future__ import annotations

import itertools
from dataclasses import fields

import pytest

from lab.training.language.expressions import EXPRESSION_KINDS
from lab.training.world.backgrounds import BACKGROUNDS
from lab.training.world.camera import CAMERA_EFFECTS
from lab.training.world.catalogue import CATEGORIES
from lab.training.world.colours import COLOURS
from lab.training.world.levels import CURRICULUM, NANO_LEVEL, UNLABELLED_LEVEL, Level
from lab.training.world.motion import MOTIONS
from lab.training.world.textures import TEXTURES


@pytest.mark.parametrize("level", [*CURRICULUM, UNLABELLED_LEVEL], ids=lambda level: level.name)
def test_a_level_names_only_what_exists(level: Level) -> None:
    assert set(level.categories) <= set(CATEGORIES) and set(level.colours) <= set(COLOURS)
    assert set(level.textures) <= set(TEXTURES) and set(level.backgrounds) <= set(BACKGROUNDS)
    assert set(level.motions) <= set(MOTIONS) and set(level.camera_effects) <= set(CAMERA_EFFECTS)
    assert set(level.expression_kinds) <= set(EXPRESSION_KINDS)
    assert 1 <= level.object_count[0] <= level.object_count[1] <= 8
    assert 0 < level.size_range[0] < level.size_range[1] <= (1.0 if level.unlabelled_share else 0.5)


@pytest.mark.parametrize(("lower", "higher"), [*itertools.pairwise(CURRICULUM)], ids=lambda level: level.name)
def test_a_level_has_all_that_the_level_before_it_has(lower: Level, higher: Level) -> None:
    for name in (
        "categories",
        "colours",
        "textures",
        "backgrounds",
        "motions",
        "camera_effects",
        "expression_kinds",
    ):
        assert set(getattr(lower, name)) <= set(getattr(higher, name)), name
    for name in (
        "colour_spread",
        "max_tilt_rad",
        "shared_attribute_prob",
        "shading",
        "shadow_strength",
        "max_occluders",
        "templates_per_meaning",
    ):
        assert getattr(lower, name) <= getattr(higher, name), name
    assert higher.object_count[0] <= lower.object_count[0] and lower.object_count[1] <= higher.object_count[1]
    assert higher.size_range[0] <= lower.size_range[0] and lower.size_range[1] <= higher.size_range[1]
    assert lower != higher


def test_the_last_level_has_everything() -> None:
    world = CURRICULUM[-1]
    assert set(world.categories) == set(CATEGORIES) and set(world.colours) == set(COLOURS)
    assert set(world.textures) == set(TEXTURES) and set(world.motions) == set(MOTIONS)
    assert set(world.camera_effects) == set(CAMERA_EFFECTS)
    assert set(world.expression_kinds) == set(EXPRESSION_KINDS)
    assert world.object_count == (1, 8)


def test_names_are_distinct_and_nano_has_the_last_level() -> None:
    assert len({level.name for level in CURRICULUM}) == len(CURRICULUM)
    assert NANO_LEVEL is CURRICULUM[-1]


def test_unlabelled_objects_are_outside_the_curriculum_and_without_expressions() -> None:
    assert not any(level.unlabelled_share for level in CURRICULUM)
    assert UNLABELLED_LEVEL not in CURRICULUM
    assert UNLABELLED_LEVEL.unlabelled_share > 0.5
    assert UNLABELLED_LEVEL.expression_kinds == ()


def test_levels_are_hashable_and_of_plain_values() -> None:
    assert all(hash(level) for level in CURRICULUM)
    assert {type(getattr(NANO_LEVEL, field.name)) for field in fields(Level)} <= {str, tuple, float, int}
