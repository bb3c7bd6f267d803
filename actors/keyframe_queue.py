"""The grounder's waiting room: bounded, the newest picture of a query wins, nobody starves. Pure.

Theory of operation. A query waits in one keyframe at a time; a newer keyframe of it takes the older one's
place *and its turn*: asking again does not mean going to the back. Turns go to who has waited longest.
Where there is no room, the one that has waited shortest gives way, and what it has waited is remembered for
when it asks again, so that it grows older than the others in the end.

Masks and words take turns: an answer in words takes as long as it is long, so after one, masks are served if
any wait. Keyframes that want masks are taken several at a time; the first of them waits for company a moment.
Of one stream all that wait are taken at once, and its newest picture is looked at for all: words that were
changed one by one while others were served cost one look.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from streaming.vocabulary import Keyframe, Query, QueryId, QueryKind, StreamId

Ticket = int

WINDOW_S: Final = 0.004
"A tenth of a frame, which nobody notices; a stream's queries of one moment come within less."
TOGETHER_S: Final = 0.5
"Longest that keyframes may take together: who is first among them waits for the last."
MOST_TOGETHER: Final = 8
FORGET_S: Final = 10.0
"Who has not asked for so long has given up: a query that is still wanted is asked again within seconds."


@dataclass(frozen=True, slots=True)
class Superseded:
    """A question that will not be answered because a newer one took its place, or room ran out."""

    ticket: Ticket
    query_ids: tuple[QueryId, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """A keyframe whose turn it is."""

    ticket: Ticket
    keyframe: Keyframe
    waited_s: float
    "Since this keyframe came."


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    ticket: Ticket
    keyframe: Keyframe
    put_s: float

    @property
    def keys(self) -> list[tuple[StreamId, QueryId]]:
        return [(self.keyframe.frame.stream_id, query.query_id) for query in self.keyframe.queries]

    @property
    def wants_words(self) -> bool:
        return wants_words(self.keyframe)


def wants_words(keyframe: Keyframe) -> bool:
    """Whether an answer has to be said, not only pointed."""
    return any(query.kind is not QueryKind.REFER for query in keyframe.queries)


def apart(keyframe: Keyframe) -> list[Keyframe]:
    """What wants masks together, and each that wants words alone: nobody waits for another's words."""
    referring = tuple(query for query in keyframe.queries if query.kind is QueryKind.REFER)
    others = ((query,) for query in keyframe.queries if query.kind is not QueryKind.REFER)
    return [replace(keyframe, queries=queries) for queries in (referring, *others) if queries]


def most_together(look_s: float) -> int:
    """How many streams may be looked at at a time, where one takes so long."""
    return max(1, min(MOST_TOGETHER, int(TOGETHER_S / max(look_s, 1e-6))))


def by_stream(taken: Iterable[Taken]) -> list[list[Taken]]:
    """Those of each stream, in their order."""
    groups: dict[StreamId, list[Taken]] = {}
    for one in taken:
        groups.setdefault(one.keyframe.frame.stream_id, []).append(one)
    return list(groups.values())


def looks(keyframes: Iterable[Keyframe]) -> list[Keyframe]:
    """One for each stream, in their order: its newest picture, with the queries of all."""
    joined: dict[StreamId, Keyframe] = {}
    for keyframe in keyframes:
        stream_id = keyframe.frame.stream_id
        known = joined.get(stream_id, keyframe)
        queries = known.queries if known is keyframe else known.queries + keyframe.queries
        newest = max(known, keyframe, key=lambda one: (one.asked_s, one.frame.index))
        joined[stream_id] = replace(newest, queries=queries)
    return list(joined.values())


class KeyframeQueue:
    """Not thread-safe: it lives in the grounder's event loop. Moments are of one clock."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: dict[Ticket, _Waiting] = {}
        self._since: dict[tuple[StreamId, QueryId], tuple[float, float]] = {}
        "When a query that has not been served began to ask, and when it asked last."
        self._next_ticket: Ticket = 0
        self._words_were_last = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, keyframe: Keyframe, now_s: float) -> tuple[Ticket, list[Superseded]]:
        """Add a keyframe; returns its ticket and what it pushed out: itself, if it has waited shortest."""
        new = _Waiting(self._next_ticket, keyframe, now_s)
        self._next_ticket += 1
        self._remember(new.keys, now_s)
        pushed_out = self._supersede(keyframe)
        self._waiting[new.ticket] = new
        if len(self._waiting) > self._capacity:
            youngest = max(self._waiting.values(), key=self._turn)
            del self._waiting[youngest.ticket]
            earlier = [gone.query_ids for gone in pushed_out if gone.ticket == youngest.ticket]
            pushed_out = [gone for gone in pushed_out if gone.ticket != youngest.ticket]
            lost = sum(earlier, ()) + _ids(youngest.keyframe.queries)
            pushed_out.append(Superseded(youngest.ticket, lost))
        return new.ticket, pushed_out

    def ready_s(self) -> float | None:
        """From when on `take` gives something; None while nobody waits."""
        first_s = min((one.put_s for one in self._waiting.values()), default=None)
        return None if first_s is None else first_s + WINDOW_S

    def take(self, now_s: float, most: int) -> list[Taken]:
        """Whose turn it is: all that want masks of up to `most` streams, or one that wants words.

        Nothing before `ready_s`. Of one stream no query is in two of them.
        """
        ready_s = self.ready_s()
        if ready_s is None or now_s < ready_s:
            return []
        ordered = sorted(self._waiting.values(), key=self._turn)
        masks = [one for one in ordered if not one.wants_words]
        if ordered[0].wants_words and not (self._words_were_last and masks):
            chosen = ordered[:1]
        else:
            streams = list(dict.fromkeys(one.keyframe.frame.stream_id for one in masks))[:most]
            chosen = [one for one in masks if one.keyframe.frame.stream_id in streams]
        self._words_were_last = chosen[0].wants_words
        return [self._leave(one, now_s) for one in chosen]

    def give_up(self, before_s: float) -> list[Superseded]:
        """Let go of keyframes that came before a moment and were not taken."""
        late = [one for one in self._waiting.values() if one.put_s < before_s]
        for one in late:
            del self._waiting[one.ticket]
        return [Superseded(one.ticket, _ids(one.keyframe.queries)) for one in late]

    def waits(self, ticket: Ticket) -> bool:
        """Whether a keyframe is still here, with at least one query."""
        return ticket in self._waiting

    def _turn(self, one: _Waiting) -> tuple[float, Ticket]:
        return min((self._since[key][0] for key in one.keys), default=one.put_s), one.ticket

    def _leave(self, one: _Waiting, now_s: float) -> Taken:
        del self._waiting[one.ticket]
        for key in one.keys:
            self._since.pop(key, None)
        return Taken(one.ticket, one.keyframe, now_s - one.put_s)

    def _remember(self, keys: Iterable[tuple[StreamId, QueryId]], now_s: float) -> None:
        here = {key for one in self._waiting.values() for key in one.keys}
        self._since = {
            key: times for key, times in self._since.items() if key in here or now_s - times[1] <= FORGET_S
        }
        for key in keys:
            self._since[key] = (self._since.get(key, (now_s, now_s))[0], now_s)

    def _supersede(self, keyframe: Keyframe) -> list[Superseded]:
        asked = {query.query_id for query in keyframe.queries}
        pushed_out = []
        for ticket, waiting in list(self._waiting.items()):
            older = waiting.keyframe
            stale = tuple(query for query in older.queries if query.query_id in asked)
            if older.frame.stream_id != keyframe.frame.stream_id or not stale:
                continue
            pushed_out.append(Superseded(ticket, _ids(stale)))
            kept = tuple(query for query in older.queries if query.query_id not in asked)
            if kept:
                self._waiting[ticket] = replace(waiting, keyframe=replace(older, queries=kept))
            else:
                del self._waiting[ticket]
        return pushed_out


def _ids(queries: tuple[Query, ...]) -> tuple[QueryId, ...]:
    return tuple(query.query_id for query in queries)
