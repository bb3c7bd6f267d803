"""The lifecycle of a track, one step per tracked frame. Pure functions.

    tentative --visible 3 frames, or confirmed--> active <--visible--> occluded --hidden 60 frames--> lost
    tentative --hidden 15 frames--> ended        lost --visible 2 frames, or confirmed--> active
                                                 lost --hidden 900 frames--> ended

Visible is the tracker's judgement: an object score above 0 and a mask of some area whose predicted IoU is
high enough (`TrackerPolicy.min_visible_iou`). Confirmed is the grounder's: a mask of an answer matched the
track. Counts are tracked frames; at 30 per second, 60 are 2 s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from streaming.vocabulary import TrackState

VISIBLE_TO_ACTIVE: Final = 3
"A single answer may be wrong; a false mask rarely lasts 3 frames."
VISIBLE_TO_REACTIVATE: Final = 2
HIDDEN_TO_DISCARD: Final = 15
"A tentative track that is not visible came from a wrong answer."
HIDDEN_TO_LOST: Final = 60
HIDDEN_TO_END: Final = 900
"30 s. Until then a lost track occupies a batch row; an object that returns later starts a new track."


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A track's state, and for how long it has been visible or hidden."""

    state: TrackState = TrackState.TENTATIVE
    visible_frames: int = 0
    "Consecutive frames on which the object was visible, up to now."
    hidden_frames: int = 0
    "Consecutive frames on which it was not."

    @property
    def ended(self) -> bool:
        """Whether the track has ended, which is final."""
        return self.state is TrackState.ENDED


def advance(life: Lifecycle, *, visible: bool) -> Lifecycle:
    """Advance by one frame."""
    if life.ended:
        return life
    now = Lifecycle(
        life.state, life.visible_frames + 1 if visible else 0, 0 if visible else life.hidden_frames + 1
    )
    return replace(now, state=_next(now))


def confirm(life: Lifecycle) -> Lifecycle:
    """Activate a track that a mask of an answer matched. A track that has ended stays so."""
    if life.ended:
        return life
    return Lifecycle(TrackState.ACTIVE, life.visible_frames, 0)


def end(life: Lifecycle) -> Lifecycle:
    """End a track."""
    return replace(life, state=TrackState.ENDED)


def mark_lost(life: Lifecycle) -> Lifecycle:
    """Make a track lost at once, for example because the model's output is not finite."""
    if life.ended:
        return life
    return Lifecycle(TrackState.LOST, 0, max(life.hidden_frames + 1, HIDDEN_TO_LOST))


def _next(life: Lifecycle) -> TrackState:
    match life.state:
        case TrackState.TENTATIVE:
            if life.visible_frames >= VISIBLE_TO_ACTIVE:
                return TrackState.ACTIVE
            return TrackState.ENDED if life.hidden_frames >= HIDDEN_TO_DISCARD else TrackState.TENTATIVE
        case TrackState.LOST:
            if life.visible_frames >= VISIBLE_TO_REACTIVATE:
                return TrackState.ACTIVE
            return TrackState.ENDED if life.hidden_frames >= HIDDEN_TO_END else TrackState.LOST
        case _:
            if life.hidden_frames >= HIDDEN_TO_LOST:
                return TrackState.LOST
            return TrackState.OCCLUDED if life.hidden_frames else TrackState.ACTIVE
