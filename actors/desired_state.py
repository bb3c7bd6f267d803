"""The streams and queries users asked for, which worker hosts them, and what changed. Pure.

Theory of operation. The supervisor has one `DesiredState`. Each worker has a version: the number of changes
of its streams and queries so far. A worker reports the version it hosts; `delta` returns what changed since,
so an edit of one query sends that query only, however many streams the worker hosts. A worker at another
version than the delta's `from_version` ignores it. The last `HISTORY` changes of a worker are remembered; a
worker that is further behind, or was restarted (version 0), gets the whole state: a delta from version 0,
which replaces everything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from actors.placement import place
from streaming.errors import NotFound
from streaming.vocabulary import Query, QueryId, StreamId, StreamSpec

HISTORY: Final = 256
"Changes remembered for each worker; each is sent at once, so a worker is at most a few behind."


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed for one worker between two versions."""

    from_version: int
    "0: the whole state, which replaces whatever the worker hosts."
    to_version: int
    streams: tuple[StreamSpec, ...] = ()
    "Added or replaced."
    queries: tuple[Query, ...] = ()
    "Added or replaced."
    removed_streams: tuple[StreamId, ...] = ()
    "Their queries are removed with them."
    removed_queries: tuple[QueryId, ...] = ()


@dataclass(frozen=True, slots=True)
class HostedState:
    """What one worker hosts, at a version."""

    version: int = 0
    streams: Mapping[StreamId, StreamSpec] = field(default_factory=dict)
    queries: Mapping[QueryId, Query] = field(default_factory=dict)

    def fits(self, delta: Delta) -> bool:
        """Return whether `delta` can be applied: it starts at this version, or is whole."""
        return delta.from_version in (0, self.version)

    def applied(self, delta: Delta) -> HostedState:
        """Return the state after a delta that fits. Replaced queries keep their place in the order."""
        base = HostedState() if delta.from_version == 0 else self
        streams = {key: spec for key, spec in base.streams.items() if key not in delta.removed_streams}
        streams |= {spec.stream_id: spec for spec in delta.streams}
        queries = {key: query for key, query in base.queries.items() if key not in delta.removed_queries}
        queries |= {query.query_id: query for query in delta.queries}
        queries = {key: query for key, query in queries.items() if query.stream_id in streams}
        return HostedState(delta.to_version, streams, queries)

    def queries_of(self, stream_id: StreamId) -> list[Query]:
        """Return the queries of a stream, in the order they were added."""
        return [query for query in self.queries.values() if query.stream_id == stream_id]


class DesiredState:
    """Streams and queries by id, the placement of streams on workers, and each worker's changes."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._streams: dict[StreamId, StreamSpec] = {}
        self._queries: dict[QueryId, Query] = {}
        self._placement: dict[StreamId, int] = {}
        self._changes = [_Changes() for _ in range(workers)]

    @property
    def streams(self) -> Mapping[StreamId, StreamSpec]:
        """All streams, in the order they were added."""
        return self._streams

    @property
    def queries(self) -> Mapping[QueryId, Query]:
        """All queries, in the order they were added."""
        return self._queries

    def stream(self, stream_id: StreamId) -> StreamSpec:
        """Return a stream. Raises NotFound."""
        try:
            return self._streams[stream_id]
        except KeyError:
            raise NotFound(f"There is no stream {stream_id}.", remedy="See `saccade stream list`.") from None

    def query(self, query_id: QueryId) -> Query:
        """Return a query. Raises NotFound."""
        try:
            return self._queries[query_id]
        except KeyError:
            raise NotFound(f"There is no query {query_id}.", remedy="See `saccade query list`.") from None

    def queries_of(self, stream_id: StreamId) -> list[Query]:
        """Return the queries of a stream, in the order they were added."""
        return [query for query in self._queries.values() if query.stream_id == stream_id]

    def worker_of(self, stream_id: StreamId) -> int:
        """Return the number of the worker that hosts a stream."""
        return self._placement[stream_id]

    def load(self, streams: Iterable[StreamSpec], queries: Iterable[Query]) -> None:
        """Add what was stored. Queries of streams that are not there are left out."""
        for spec in streams:
            self.put_stream(spec)
        for query in queries:
            if query.stream_id in self._streams:
                self.put_query(query)

    def put_stream(self, spec: StreamSpec) -> None:
        """Add a stream and place it on a worker; a stream that is there already stays on its worker."""
        self._streams[spec.stream_id] = spec
        self._placement = place(self._streams, self._placement, self._workers)
        self._changes[self._placement[spec.stream_id]].add(spec.stream_id)

    def remove_stream(self, stream_id: StreamId) -> None:
        """Remove a stream and its queries."""
        for query in self.queries_of(stream_id):
            self.remove_query(query.query_id)
        del self._streams[stream_id]
        self._changes[self._placement.pop(stream_id)].add(stream_id)

    def put_query(self, query: Query) -> None:
        """Add a query of a stream that is there, or replace it by its next revision."""
        self._queries[query.query_id] = query
        self._changes[self._placement[query.stream_id]].add(query.query_id, is_query=True)

    def remove_query(self, query_id: QueryId) -> None:
        """Remove a query."""
        query = self._queries.pop(query_id)
        self._changes[self._placement[query.stream_id]].add(query_id, is_query=True)

    def version(self, worker: int) -> int:
        """Return the version that a worker shall host."""
        return self._changes[worker].version

    def delta(self, worker: int, from_version: int) -> Delta | None:
        """Return what a worker at `from_version` has to change; None if nothing."""
        changes = self._changes[worker]
        if from_version == changes.version:
            return None
        since = changes.since(from_version)
        if since is None:
            return self._whole(worker)
        streams, queries = since
        return Delta(
            from_version,
            changes.version,
            tuple(self._streams[key] for key in streams if self._is_on(key, worker)),
            tuple(self._queries[key] for key in queries if key in self._queries),
            tuple(key for key in streams if not self._is_on(key, worker)),
            tuple(key for key in queries if key not in self._queries),
        )

    def _whole(self, worker: int) -> Delta:
        streams = tuple(spec for key, spec in self._streams.items() if self._is_on(key, worker))
        queries = tuple(query for query in self._queries.values() if self._is_on(query.stream_id, worker))
        return Delta(0, self._changes[worker].version, streams, queries)

    def _is_on(self, stream_id: StreamId, worker: int) -> bool:
        return self._placement.get(stream_id) == worker


class _Changes:
    """The ids of what changed for one worker, the newest `HISTORY` of them."""

    def __init__(self) -> None:
        self.version = 0
        self._newest: deque[tuple[str, bool]] = deque(maxlen=HISTORY)

    def add(self, changed_id: str, *, is_query: bool = False) -> None:
        self.version += 1
        self._newest.append((changed_id, is_query))

    def since(self, version: int) -> tuple[list[StreamId], list[QueryId]] | None:
        """Return the ids of streams and of queries changed after `version`; None where that is not known."""
        missing = self.version - version
        if version <= 0 or not 0 <= missing <= len(self._newest):
            return None
        changed = list(dict.fromkeys(list(self._newest)[len(self._newest) - missing :]))
        streams = [StreamId(changed_id) for changed_id, is_query in changed if not is_query]
        return streams, [QueryId(changed_id) for changed_id, is_query in changed if is_query]
