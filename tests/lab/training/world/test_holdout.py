"""About a tenth of the labels is held out, spread over categories and colours; seeds decide the split."""

from __future__ import annotations

from collections import Counter

import pytest

from lab.training.scene_description import ObjectLabel
from lab.training.world.catalogue import CATEGORIES
from lab.training.world.colours import COLOURS
from lab.training.world.holdout import HELD_OUT_SEED, Split, is_held_out, split_of
from lab.training.world.levels import CURRICULUM

PLAIN = CURRICULUM[0]
HELD_OUT = [
    ObjectLabel(category, colour)
    for category in CATEGORIES
    for colour in COLOURS
    if is_held_out(ObjectLabel(category, colour))
]


def test_about_one_label_in_ten_is_held_out() -> None:
    assert 0.08 < len(HELD_OUT) / (len(CATEGORIES) * len(COLOURS)) < 0.12


def test_training_has_most_labels_of_every_category_and_colour() -> None:
    assert max(Counter(label.category for label in HELD_OUT).values()) <= 2
    colours = Counter(label.colour for label in HELD_OUT)
    assert set(colours) == set(COLOURS) and max(colours.values()) <= len(CATEGORIES) / 5


def test_the_first_level_has_held_out_labels() -> None:
    first = [
        label for label in HELD_OUT if label.category in PLAIN.categories and label.colour in PLAIN.colours
    ]
    assert first == [
        ObjectLabel("circle", "white"),
        ObjectLabel("square", "red"),
        ObjectLabel("star", "blue"),
    ]


def test_a_seed_decides_its_split() -> None:
    assert split_of(0) is split_of(HELD_OUT_SEED - 1) is Split.TRAINING
    assert split_of(HELD_OUT_SEED) is Split.UNSEEN
    for split in Split:
        assert split_of(split.first_seed) is split_of(split.first_seed + HELD_OUT_SEED - 1) is split


@pytest.mark.parametrize("seed", [-1, len(Split) * HELD_OUT_SEED])
def test_a_seed_of_no_split_raises(seed: int) -> None:
    with pytest.raises(ValueError, match="not a valid"):
        split_of(seed)
