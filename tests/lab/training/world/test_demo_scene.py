"""The showcase shows what a visitor will ask for, and is said rightly."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from lab.training.language.live_expressions import lasting
from lab.training.language.nouns import Noun, meant
from lab.training.language.view import View
from lab.training.world.demo_scene import LOOP_S, PHRASES, demo_things, draw_demo
from lab.training.world.holdout import is_held_out
from lab.training.world.levels import LADDER
from lab.training.world.scenes import Clip, filmed

FPS = 10
THINGS = demo_things()
SAMPLES = range(10, round(FPS * LOOP_S), 9)


@cache
def clip() -> Clip:
    """A loop of the street, small."""
    stills = list(draw_demo(LOOP_S, FPS, size=(90, 160)))
    frames = np.stack([still.picture for still in stills])
    return filmed(frames, stills, THINGS, step_s=1 / FPS, seed=0, level=LADDER[-1])


@cache
def said(frame: int) -> dict[str, tuple[int, ...]]:
    """What is said of a frame in the plainest words, and what it means beyond doubt."""
    return {one.text: one.targets for one in lasting(clip(), [frame], habit=0)}


@cache
def share_in_sight() -> np.ndarray:
    """(T, N) of each thing."""
    return np.asarray(clip().masks.sum(axis=(2, 3)) / clip().whole_px)


def test_it_shows_what_training_may_show() -> None:
    assert not any(is_held_out(thing) for thing in THINGS)
    assert len(set(THINGS)) == len(THINGS)
    assert {thing.kind for thing in THINGS} <= set(LADDER[-1].kinds)


def test_the_end_meets_the_beginning() -> None:
    first, *_, last = draw_demo(LOOP_S + 0.1, FPS, size=(90, 160))
    assert (first.picture == last.picture).all()
    assert (first.owners == last.owners).all()


@pytest.mark.parametrize("text", [text for text, meaning in PHRASES.items() if meaning])
def test_a_phrase_means_what_it_says_whenever_that_is_beyond_doubt(text: str) -> None:
    meaning = tuple(sorted(THINGS.index(thing) for thing in PHRASES[text]))
    heard = [(frame, said(frame)[text]) for frame in SAMPLES if text in said(frame)]
    assert len(heard) >= len(SAMPLES) // 3, "true for a good while"
    for frame, found in heard:
        in_sight = tuple(index for index in meaning if share_in_sight()[frame, index] > 0)
        assert found == in_sight


def test_what_is_absent_is_nowhere_though_its_colour_and_its_kind_are() -> None:
    (text,) = [text for text, meaning in PHRASES.items() if not meaning]
    _, colour, kind = text.split()
    assert {colour, kind} <= {name for thing in THINGS for name in thing}
    assert all(meant(View(clip(), frame), Noun(kind, colour)) in ((), None) for frame in SAMPLES)


def test_three_things_never_leave_and_two_go_and_return() -> None:
    in_sight = share_in_sight() > 0
    assert in_sight.all(axis=0).sum() >= 3
    for index in np.flatnonzero(~in_sight.all(axis=0)):
        (gone,) = np.nonzero(np.diff(in_sight[:, index].astype(int)) == -1)
        assert len(gone) >= 2, "every round"
        assert in_sight[gone[0] + 1 :, index].any()


def test_things_hide_each_other() -> None:
    hidden = (share_in_sight() < 0.6) & (clip().boxes[..., 0] > 0) & (clip().boxes[..., 2] < 160)
    assert hidden.any(axis=0).sum() >= 2
    assert hidden.any(axis=1).mean() < 0.5, "but not most of the time"


def test_somebody_stops() -> None:
    assert any(text.endswith("that stopped") for frame in SAMPLES for text in said(frame))


def test_four_or_five_are_in_sight_mostly() -> None:
    seen = (share_in_sight() > 0.4).sum(axis=1)
    assert np.isin(seen, (4, 5)).mean() > 0.7
