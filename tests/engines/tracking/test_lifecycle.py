"""The lifecycle of a track, step by step."""

from __future__ import annotations

import pytest

from engines.tracking import lifecycle
from engines.tracking.lifecycle import Lifecycle, advance, confirm, end, mark_lost
from streaming.vocabulary import TrackState

ACTIVE, ENDED, LOST = TrackState.ACTIVE, TrackState.ENDED, TrackState.LOST
OCCLUDED, TENTATIVE = TrackState.OCCLUDED, TrackState.TENTATIVE


def after(life: Lifecycle, visible: bool, frames: int) -> Lifecycle:
    for _ in range(frames):
        life = advance(life, visible=visible)
    return life


@pytest.mark.parametrize(
    ("start", "visible", "frames", "state"),
    [
        (TENTATIVE, True, lifecycle.VISIBLE_TO_ACTIVE - 1, TENTATIVE),
        (TENTATIVE, True, lifecycle.VISIBLE_TO_ACTIVE, ACTIVE),
        (TENTATIVE, False, lifecycle.HIDDEN_TO_DISCARD - 1, TENTATIVE),
        (TENTATIVE, False, lifecycle.HIDDEN_TO_DISCARD, ENDED),
        (ACTIVE, False, 1, OCCLUDED),
        (ACTIVE, True, 1000, ACTIVE),
        (ACTIVE, False, lifecycle.HIDDEN_TO_LOST, LOST),
        (OCCLUDED, True, 1, ACTIVE),
        (LOST, True, lifecycle.VISIBLE_TO_REACTIVATE - 1, LOST),
        (LOST, True, lifecycle.VISIBLE_TO_REACTIVATE, ACTIVE),
        (ACTIVE, False, lifecycle.HIDDEN_TO_END - 1, LOST),
        (ACTIVE, False, lifecycle.HIDDEN_TO_END, ENDED),
        (ENDED, True, 10, ENDED),
    ],
)
def test_the_state_follows_from_how_long_the_object_was_visible_or_hidden(
    start: TrackState, visible: bool, frames: int, state: TrackState
) -> None:
    assert after(Lifecycle(start), visible, frames).state is state


def test_a_visible_frame_resets_the_count_of_hidden_frames() -> None:
    life = after(Lifecycle(ACTIVE), False, lifecycle.HIDDEN_TO_LOST - 1)
    life = after(after(life, True, 1), False, lifecycle.HIDDEN_TO_LOST - 1)
    assert life.state is OCCLUDED


@pytest.mark.parametrize("state", [TENTATIVE, ACTIVE, OCCLUDED, LOST])
def test_a_confirmed_track_is_active(state: TrackState) -> None:
    assert confirm(Lifecycle(state, 0, 30)) == Lifecycle(ACTIVE, 0, 0)


def test_an_ended_track_stays_ended() -> None:
    over = end(Lifecycle(ACTIVE))
    assert all(life.ended for life in (over, confirm(over), mark_lost(over), advance(over, visible=True)))


def test_a_lost_track_is_not_ended_and_becomes_active_when_visible() -> None:
    lost = mark_lost(Lifecycle(ACTIVE, 9, 0))
    assert lost.state is LOST
    assert after(lost, True, lifecycle.VISIBLE_TO_REACTIVATE).state is ACTIVE
