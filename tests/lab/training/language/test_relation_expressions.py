"""Spatial relations hold of exactly one object, or of none."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lab.training.language.frame_facts import FrameFacts
from lab.training.language.relation_expressions import RELATIONS, relation
from lab.training.world.holdout import Split
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import draw_clip
from tests.expression_semantics import interpretations, parses


@pytest.fixture(scope="module")
def all_facts() -> list[FrameFacts]:
    seeds = [split.first_seed + n for split in (Split.TRAINING, Split.LOOK_ALIKES) for n in range(30)]
    return [FrameFacts(draw_clip(seed, frames=1, size=(128, 128), level=CURRICULUM[-1]), 0) for seed in seeds]


def test_candidates_without_doubt_are_true_and_every_relation_occurs(all_facts: list[FrameFacts]) -> None:
    counts: Counter[tuple[str, bool]] = Counter()
    for facts in all_facts:
        for text, referents in relation(facts, np.random.default_rng(0)):
            if referents is not None:
                assert interpretations(text, facts.scene, 0) == {referents}, text
                counts[next(parses(text))[0], bool(referents)] += 1
    for meaning in RELATIONS:
        assert counts[meaning, True] > 5 and counts[meaning, False] > 5, (meaning, counts)
