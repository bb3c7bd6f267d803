"""Training has no held-out labels and no two objects of one label; other splits have what they measure."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from lab.training.scene_description import ObjectLabel
from lab.training.world.catalogue import UNLABELLED
from lab.training.world.holdout import Split, is_held_out
from lab.training.world.label_sampling import sample_labels
from lab.training.world.levels import CURRICULUM, UNLABELLED_LEVEL, Level

PLAIN = CURRICULUM[0]
WORLD = CURRICULUM[-1]


def samples(split: Split, level: Level = WORLD, count: int = 200) -> list[list[ObjectLabel]]:
    rng = np.random.default_rng(0)
    return [sample_labels(level, split, rng) for _ in range(count)]


@pytest.mark.parametrize("split", [Split.TRAINING, Split.UNSEEN, Split.LOOK_ALIKES])
@pytest.mark.parametrize("level", CURRICULUM, ids=lambda level: level.name)
def test_held_out_labels_occur_in_no_other_split(split: Split, level: Level) -> None:
    assert not any(is_held_out(label) for labels in samples(split, level) for label in labels)


@pytest.mark.parametrize("split", [Split.TRAINING, Split.UNSEEN, Split.COMBINATIONS])
def test_labels_are_distinct(split: Split) -> None:
    assert all(len(set(labels)) == len(labels) for labels in samples(split))


def test_the_split_of_combinations_has_held_out_labels() -> None:
    for level in CURRICULUM:
        for labels in samples(Split.COMBINATIONS, level):
            assert sum(is_held_out(label) for label in labels) >= min(len(labels) / 2, 3)


def test_the_split_of_look_alikes_has_distractors_of_one_label() -> None:
    for level in CURRICULUM:
        for labels in samples(Split.LOOK_ALIKES, level):
            assert max(Counter(labels).values()) >= 2
            assert len(labels) <= max(level.object_count[1], 2)


def test_object_counts_are_those_of_the_level() -> None:
    counts = Counter(len(labels) for labels in samples(Split.TRAINING, count=400))
    assert set(counts) == set(range(1, 9))
    assert min(counts.values()) > 20


def test_unlabelled_objects_occur_at_the_share_of_the_level() -> None:
    labels = [label for sampled in samples(Split.TRAINING, UNLABELLED_LEVEL) for label in sampled]
    assert labels.count(UNLABELLED) / len(labels) == pytest.approx(
        UNLABELLED_LEVEL.unlabelled_share, abs=0.05
    )
    assert not any(UNLABELLED in sampled for sampled in samples(Split.TRAINING))


def test_labels_share_attributes_where_the_level_asks_for_it() -> None:
    def shared(level: Level) -> float:
        pairs = [(a, b) for labels in samples(Split.TRAINING, level) for a, b in itertools.pairwise(labels)]
        return float(np.mean([a.category == b.category or a.colour == b.colour for a, b in pairs]))

    assert shared(WORLD) > 2 * (1 / len(WORLD.categories) + 1 / len(WORLD.colours))
    assert PLAIN.shared_attribute_prob == 0
