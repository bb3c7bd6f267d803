"""When a track counts as found, hidden, lost or over: pure, one step per tracked frame.

    tentative --seen 3 frames, or confirmed--> active <--seen--> occluded --hidden 60 frames--> lost
    tentative --hidden 15 frames--> ended        lost --seen 2 frames, or confirmed--> active
                                                 lost --hidden 900 frames--> ended

"Seen" is the tracker's own word: object score above 0, a mask of some size that it believes in
(`TrackerPolicy.seen_iou`). "Confirmed" is the
grounder's: an answer fell on the track. Frames are tracked frames; at 30 per second, 60 are 2 s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from streaming.vocabulary import TrackState

SEEN_TO_ACTIVE: Final = 3
"A single answer may be wrong; a phantom rarely holds for 3 frames."
SEEN_TO_RETURN: Final = 2
HIDDEN_TO_DROP: Final = 15
"A tentative track that is not seen was a wrong answer."
HIDDEN_TO_LOST: Final = 60
HIDDEN_TO_END: Final = 900
"30 s: whoever is away longer is somebody new; until then the search costs a slot."


@dataclass(frozen=True, slots=True)
class Life:
    """Where a track is in its life."""

    state: TrackState = TrackState.TENTATIVE
    seen_for: int = 0
    "Frames in a row it was seen, up to now."
    hidden_for: int = 0
    "Frames in a row it was not."

    @property
    def over(self) -> bool:
        """Whether it will never be seen again."""
        return self.state is TrackState.ENDED


def advance(life: Life, *, seen: bool) -> Life:
    """One more frame, on which the object was seen or not."""
    if life.over:
        return life
    now = Life(life.state, life.seen_for + 1 if seen else 0, 0 if seen else life.hidden_for + 1)
    return replace(now, state=_next(now))


def confirm(life: Life) -> Life:
    """The grounder says it is there. A track that has ended stays so."""
    if life.over:
        return life
    return Life(TrackState.ACTIVE, life.seen_for, 0)


def end(life: Life) -> Life:
    """Nobody wants it any more."""
    return replace(life, state=TrackState.ENDED)


def lose(life: Life) -> Life:
    """What the model says of it is no number: as if hidden for long."""
    return life if life.over else Life(TrackState.LOST, 0, max(life.hidden_for + 1, HIDDEN_TO_LOST))


def _next(life: Life) -> TrackState:
    match life.state:
        case TrackState.TENTATIVE:
            if life.seen_for >= SEEN_TO_ACTIVE:
                return TrackState.ACTIVE
            return TrackState.ENDED if life.hidden_for >= HIDDEN_TO_DROP else TrackState.TENTATIVE
        case TrackState.LOST:
            if life.seen_for >= SEEN_TO_RETURN:
                return TrackState.ACTIVE
            return TrackState.ENDED if life.hidden_for >= HIDDEN_TO_END else TrackState.LOST
        case _:
            if life.hidden_for >= HIDDEN_TO_LOST:
                return TrackState.LOST
            return TrackState.OCCLUDED if life.hidden_for else TrackState.ACTIVE
