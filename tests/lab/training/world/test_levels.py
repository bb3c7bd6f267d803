"""The ladder: every rung is wider than the one below, and asks for nothing that cannot be drawn or said."""

from __future__ import annotations

import itertools
from dataclasses import fields

import pytest

from lab.training.language.expressions import KINDS_OF_PHRASE
from lab.training.world.backgrounds import GROUNDS
from lab.training.world.camera import SPOILAGE
from lab.training.world.catalogue import KINDS
from lab.training.world.colours import COLOURS
from lab.training.world.levels import KNOWN, LADDER, STRANGERS, Level
from lab.training.world.motion import MOTIONS
from lab.training.world.textures import TEXTURES


@pytest.mark.parametrize("level", [*LADDER, STRANGERS], ids=lambda level: level.name)
def test_a_level_names_only_what_there_is(level: Level) -> None:
    assert set(level.kinds) <= set(KINDS) and set(level.colours) <= set(COLOURS)
    assert set(level.textures) <= set(TEXTURES) and set(level.grounds) <= set(GROUNDS)
    assert set(level.motions) <= set(MOTIONS) and set(level.spoilage) <= set(SPOILAGE)
    assert set(level.phrases) <= set(KINDS_OF_PHRASE)
    assert 1 <= level.things[0] <= level.things[1] <= 8
    assert 0 < level.sizes[0] < level.sizes[1] <= (1.0 if level.strange else 0.5)


@pytest.mark.parametrize(("lower", "higher"), [*itertools.pairwise(LADDER)], ids=lambda level: level.name)
def test_a_rung_takes_nothing_away(lower: Level, higher: Level) -> None:
    for name in ("kinds", "colours", "textures", "grounds", "motions", "spoilage", "phrases"):
        assert set(getattr(lower, name)) <= set(getattr(higher, name)), name
    for name in ("spread", "tilt", "kinship", "relief", "shadows", "props", "wordings"):
        assert getattr(lower, name) <= getattr(higher, name), name
    assert higher.things[0] <= lower.things[0] and lower.things[1] <= higher.things[1]
    assert higher.sizes[0] <= lower.sizes[0] and lower.sizes[1] <= higher.sizes[1]
    assert lower != higher


def test_it_ends_with_the_whole_world() -> None:
    world = LADDER[-1]
    assert set(world.kinds) == set(KINDS) and set(world.colours) == set(COLOURS)
    assert set(world.textures) == set(TEXTURES) and set(world.motions) == set(MOTIONS)
    assert set(world.spoilage) == set(SPOILAGE) and set(world.phrases) == set(KINDS_OF_PHRASE)
    assert world.things == (1, 8)


def test_names_are_different_and_the_known_one_is_the_widest() -> None:
    assert len({level.name for level in LADDER}) == len(LADDER)
    assert KNOWN is LADDER[-1]


def test_what_has_no_name_stays_beside_the_ladder_and_nothing_is_said_of_it() -> None:
    assert not any(level.strange for level in LADDER)
    assert STRANGERS not in LADDER and STRANGERS.strange > 0.5 and STRANGERS.phrases == ()


def test_levels_are_plain_values() -> None:
    assert all(hash(level) for level in LADDER)
    assert {type(getattr(KNOWN, field.name)) for field in fields(Level)} <= {str, tuple, float, int}
