"""How a stream goes on where it is hosted (again): its numbers, its tracks, its queries. Pure.

There are two sources. The snapshot, up to a second old, has the tracks and the next numbers of its moment.
Redis has the last result that anybody has seen, and the events that name the highest track id. Frame indices
and track ids go on above both. Where either is missing, numbers that were given may be unknown: then a new
epoch begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from actors.query_ledger import LedgerRecord
from actors.stream_snapshot import StoredSnapshot
from streaming.events import Event
from streaming.moment import StoredMoment
from streaming.vocabulary import FrameResult, Track, TrackState

MAX_AGE_S: Final = 300.0
"""An older snapshot's tracks end: whatever is at their places by now is as likely something else. A restart
of the service takes 10 to 40 s, of a machine up to a few minutes."""
MAX_BEHIND: Final = 10_000
"Frames by which a snapshot may be behind the last result: more than a minute without one was stored."
EVENTS_READ: Final = 256
"Events that are searched for the highest track id: those of many seconds."


@dataclass(frozen=True, slots=True)
class Published:
    """What Redis has of a stream."""

    frame: FrameResult | None = None
    "The last result."
    events: Sequence[Event] = ()
    "The newest `EVENTS_READ`."

    @property
    def next_id(self) -> int:
        """The id after the highest one in it."""
        tracks = () if self.frame is None else self.frame.tracks
        used = [track.track_id for track in tracks] + [event.track_id for event in self.events]
        return 1 + max(used, default=0)


@dataclass(frozen=True, slots=True, eq=False)
class Resumption:
    """How a stream goes on."""

    epoch: int
    first_index: int = 0
    "Index of the first frame."
    next_id: int = 1
    previous: tuple[Track, ...] = ()
    "Tracks of the last result: those that do not go on get an `end`."
    queries: tuple[LedgerRecord, ...] = ()
    tracker: bytes | None = field(default=None, repr=False)
    "State to restore; None: there is none."
    problem: str = ""
    "Why the tracks of the snapshot do not go on; empty if they do, or there is no snapshot."


def resumption(
    snapshot: StoredSnapshot | None, published: Published | None, now: StoredMoment, problem: str = ""
) -> Resumption:
    """Return how a stream goes on from its snapshot and from what Redis has; None: Redis cannot be read.

    `problem`: why there is no snapshot although something is stored.
    """
    frame = None if published is None else published.frame
    live = () if frame is None else tuple(one for one in frame.tracks if one.state is not TrackState.ENDED)
    next_index = 0 if frame is None else frame.frame_index + 1
    next_id = 1 if published is None else published.next_id
    if snapshot is None:
        epoch = _new_epoch(now, 0 if frame is None else frame.epoch)
        return Resumption(epoch, next_index, next_id, live, problem=problem)
    record = snapshot.record
    if _is_continuous(snapshot, frame):
        epoch = record.epoch
    else:
        epoch = _new_epoch(now, max(record.epoch, 0 if frame is None else frame.epoch))
    age_s = record.saved.age_s(now)
    tracker: bytes | None = snapshot.tracker
    if age_s > MAX_AGE_S:
        tracker, problem = None, f"Its last state is {age_s / 60:.0f} minutes old."
    elif not tracker:
        tracker, problem = None, "Its state was too large to be stored."
    return Resumption(
        epoch,
        max(next_index, record.next_index),
        max(next_id, record.next_id),
        live,
        record.queries,
        tracker,
        problem,
    )


def _is_continuous(snapshot: StoredSnapshot, frame: FrameResult | None) -> bool:
    """Whether every number that was given since the snapshot is known."""
    if frame is None or frame.epoch != snapshot.record.epoch:
        return False
    return frame.frame_index - snapshot.record.next_index <= MAX_BEHIND


def _new_epoch(now: StoredMoment, last: int) -> int:
    """Return the Unix time in milliseconds, or the number after `last` if the clock is behind that."""
    return max(last + 1, int(1000 * now.wall_s))
