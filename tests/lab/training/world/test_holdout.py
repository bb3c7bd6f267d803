"""What is held out stays out, and everything is still well covered."""

from __future__ import annotations

from collections import Counter

import pytest

from lab.training.world.catalogue import KINDS, Thing
from lab.training.world.colours import COLOURS
from lab.training.world.holdout import HELD_OUT_SEED, Split, is_held_out, split_of
from lab.training.world.levels import LADDER

PLAIN = LADDER[0]

HELD_OUT = [Thing(kind, colour) for kind in KINDS for colour in COLOURS if is_held_out(Thing(kind, colour))]


def test_about_one_combination_in_ten_is_held_out() -> None:
    assert 0.08 < len(HELD_OUT) / (len(KINDS) * len(COLOURS)) < 0.12


def test_every_kind_and_colour_is_well_known() -> None:
    assert max(Counter(thing.kind for thing in HELD_OUT).values()) <= 2
    colours = Counter(thing.colour for thing in HELD_OUT)
    assert set(colours) == set(COLOURS) and max(colours.values()) <= len(KINDS) / 5


def test_the_first_level_has_some_to_hold_out_and_keeps_the_rest() -> None:
    first = [thing for thing in HELD_OUT if thing.kind in PLAIN.kinds and thing.colour in PLAIN.colours]
    assert first == [Thing("circle", "white"), Thing("square", "red"), Thing("star", "blue")]


def test_a_seed_tells_its_set() -> None:
    assert split_of(0) is split_of(HELD_OUT_SEED - 1) is Split.TRAINING
    assert split_of(HELD_OUT_SEED) is Split.UNSEEN
    for split in Split:
        assert split_of(split.first_seed) is split_of(split.first_seed + HELD_OUT_SEED - 1) is split


@pytest.mark.parametrize("seed", [-1, len(Split) * HELD_OUT_SEED])
def test_a_seed_of_no_set_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="not a valid"):
        split_of(seed)
