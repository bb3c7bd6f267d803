"""The life of a track, step by step."""

from __future__ import annotations

import pytest

from engines.tracking import lifecycle
from engines.tracking.lifecycle import Life, advance, confirm, end, lose
from streaming.vocabulary import TrackState

ACTIVE, ENDED, LOST = TrackState.ACTIVE, TrackState.ENDED, TrackState.LOST
OCCLUDED, TENTATIVE = TrackState.OCCLUDED, TrackState.TENTATIVE


def after(life: Life, seen: bool, frames: int) -> Life:
    for _ in range(frames):
        life = advance(life, seen=seen)
    return life


@pytest.mark.parametrize(
    ("start", "seen", "frames", "state"),
    [
        (TENTATIVE, True, lifecycle.SEEN_TO_ACTIVE - 1, TENTATIVE),
        (TENTATIVE, True, lifecycle.SEEN_TO_ACTIVE, ACTIVE),
        (TENTATIVE, False, lifecycle.HIDDEN_TO_DROP - 1, TENTATIVE),
        (TENTATIVE, False, lifecycle.HIDDEN_TO_DROP, ENDED),
        (ACTIVE, False, 1, OCCLUDED),
        (ACTIVE, True, 1000, ACTIVE),
        (ACTIVE, False, lifecycle.HIDDEN_TO_LOST, LOST),
        (OCCLUDED, True, 1, ACTIVE),
        (LOST, True, lifecycle.SEEN_TO_RETURN - 1, LOST),
        (LOST, True, lifecycle.SEEN_TO_RETURN, ACTIVE),
        (ACTIVE, False, lifecycle.HIDDEN_TO_END - 1, LOST),
        (ACTIVE, False, lifecycle.HIDDEN_TO_END, ENDED),
        (ENDED, True, 10, ENDED),
    ],
)
def test_a_state_follows_from_what_was_seen(
    start: TrackState, seen: bool, frames: int, state: TrackState
) -> None:
    assert after(Life(start), seen, frames).state is state


def test_a_glimpse_starts_the_wait_anew() -> None:
    life = after(Life(ACTIVE), False, lifecycle.HIDDEN_TO_LOST - 1)
    life = after(after(life, True, 1), False, lifecycle.HIDDEN_TO_LOST - 1)
    assert life.state is OCCLUDED


@pytest.mark.parametrize("state", [TENTATIVE, ACTIVE, OCCLUDED, LOST])
def test_the_grounders_word_makes_a_track_active(state: TrackState) -> None:
    assert confirm(Life(state, 0, 30)) == Life(ACTIVE, 0, 0)


def test_what_has_ended_stays_ended() -> None:
    over = end(Life(ACTIVE))
    assert over.over and confirm(over).over and lose(over).over and advance(over, seen=True).over


def test_numbers_that_are_none_lose_a_track_but_do_not_end_it() -> None:
    lost = lose(Life(ACTIVE, 9, 0))
    assert lost.state is LOST
    assert after(lost, True, lifecycle.SEEN_TO_RETURN).state is ACTIVE
