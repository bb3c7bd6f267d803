"""Sample the labels of the objects of a scene."""

from __future__ import annotations

import numpy as np

from lab.training.scene_description import ObjectLabel
from lab.training.world.catalogue import UNLABELLED
from lab.training.world.holdout import Split, labels_of
from lab.training.world.levels import Level


def sample_labels(level: Level, split: Split, rng: np.random.Generator) -> list[ObjectLabel]:
    """Sample as many labels as the level allows, in random depth order.

    Labels are distinct, but for unlabelled objects, and for distractors in the split LOOK_ALIKES.
    """
    shown, held_out = labels_of(level.categories, level.colours)
    count = int(rng.integers(level.object_count[0], level.object_count[1] + 1))
    labels: list[ObjectLabel] = []
    if split is Split.COMBINATIONS:
        _add(labels, held_out, (count + 1) // 2, level.shared_attribute_prob, rng)
    unlabelled = int(rng.binomial(count, level.unlabelled_share)) if level.unlabelled_share else 0
    _add(labels, shown, count - unlabelled - len(labels), level.shared_attribute_prob, rng)
    labels += [UNLABELLED] * unlabelled
    if split is Split.LOOK_ALIKES:
        distinct = labels[: max(count - int(rng.integers(1, 3)), 1)]
        labels = distinct + [distinct[0]] * max(count - len(distinct), 1)
    return [labels[index] for index in rng.permutation(len(labels))]


def _add(
    labels: list[ObjectLabel],
    pool: tuple[ObjectLabel, ...],
    count: int,
    shared_attribute_prob: float,
    rng: np.random.Generator,
) -> None:
    """Append `count` labels of the pool that are not in the list yet, or as many as there are."""
    free = [label for label in pool if label not in labels]
    for _ in range(min(count, len(free))):
        candidates = free
        if labels and rng.random() < shared_attribute_prob:
            candidates = _sharing_an_attribute(free, labels[int(rng.integers(len(labels)))], rng) or free
        labels.append(candidates[int(rng.integers(len(candidates)))])
        free.remove(labels[-1])


def _sharing_an_attribute(
    free: list[ObjectLabel], other: ObjectLabel, rng: np.random.Generator
) -> list[ObjectLabel]:
    """Return the labels with the other's category, or those with its colour."""
    if rng.random() < 0.6:
        return [label for label in free if label.category == other.category]
    return [label for label in free if label.colour == other.colour]
