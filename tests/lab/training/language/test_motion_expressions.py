"""Motion expressions are true in the world and in the image, and need a history."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lab.training.language.frame_facts import FrameFacts
from lab.training.language.motion_expressions import MOTION_FACTS, motion
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import draw_clip
from tests.expression_semantics import interpretations, parses

FRAMES = 20


@pytest.fixture(scope="module")
def all_facts() -> list[FrameFacts]:
    clips = [draw_clip(n, frames=FRAMES, size=(96, 96), stride=2.5, level=CURRICULUM[-1]) for n in range(60)]
    return [FrameFacts(clip, FRAMES - 1) for clip in clips]


def test_candidates_without_doubt_are_true_and_every_motion_occurs(all_facts: list[FrameFacts]) -> None:
    counts: Counter[tuple[str, bool]] = Counter()
    for facts in all_facts:
        for text, referents in motion(facts, np.random.default_rng(0)):
            if referents is not None:
                assert interpretations(text, facts.scene, FRAMES - 1) == {referents}, text
                counts[next(parses(text))[0], bool(referents)] += 1
    for meaning in MOTION_FACTS:
        assert counts[meaning, True] > 0, (meaning, counts)
        assert counts[meaning, False] > 0, (meaning, counts)
    assert counts["fastest", True] > 5


def test_a_first_frame_has_no_motion_expressions(all_facts: list[FrameFacts]) -> None:
    assert not list(motion(FrameFacts(all_facts[0].scene, 0), np.random.default_rng(0)))
