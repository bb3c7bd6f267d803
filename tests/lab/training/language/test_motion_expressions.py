"""Movement is said as it was seen, in the world and in the picture."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lab.training.language.motion_expressions import MOVES, motion
from lab.training.language.view import View
from lab.training.world.levels import LADDER
from lab.training.world.scenes import draw_clip
from tests.truth_of_words import judged, readings

FRAMES = 20


@pytest.fixture(scope="module")
def views() -> list[View]:
    clips = [draw_clip(n, frames=FRAMES, size=(96, 96), stride=2.5, level=LADDER[-1]) for n in range(60)]
    return [View(clip, FRAMES - 1) for clip in clips]


def test_all_that_is_said_for_sure_is_true(views: list[View]) -> None:
    said: Counter[str] = Counter()
    for view in views:
        for text, meaning in motion(view, np.random.default_rng(0)):
            if meaning is not None:
                assert judged(text, view.clip, FRAMES - 1) == {meaning}, (view.clip.seed, text)
                said[f"{next(readings(text))[0]} {bool(meaning)}"] += 1
    for way in MOVES:
        assert said[f"{way} True"] > 0, (way, said)
        assert said[f"{way} False"] > 0, (way, said)
    assert said["fastest True"] > 5


def test_the_first_frame_tells_no_movement(views: list[View]) -> None:
    assert not list(motion(View(views[0].clip, 0), np.random.default_rng(0)))
