"""The desired state in Redis: the streams and queries that users asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import SecretStr

from streaming import wire
from streaming.errors import InvalidMessage
from streaming.results.connection import Connection
from streaming.results.keys import QUERIES_KEY, STREAMS_KEY, Channel, key_of
from streaming.vocabulary import Query, QueryId, StreamId, StreamSpec

M = TypeVar("M", StreamSpec, Query)
log = logging.getLogger(__name__)

EXPIRE_AFTER_REMOVAL_S: Final = 3600
"Time to live of a removed stream's results."


class DesiredStore:
    """Stores streams and queries. Thread-safe; every call raises StoreUnavailable.

    A write that raised may still have happened (its reply was lost); every write can be repeated.
    """

    def __init__(self, redis_url: SecretStr) -> None:
        """Do not connect yet. Raises InvalidSettings (not a Redis URL)."""
        self._connection = Connection(redis_url)

    def streams(self) -> list[StreamSpec]:
        """Return all streams by id. A record that cannot be decoded is logged and left out."""
        with self._connection.use() as client:
            stored = client.hgetall(STREAMS_KEY)
        return _decoded(StreamSpec, stored)

    def queries(self) -> list[Query]:
        """Return all queries by id. A record that cannot be decoded is logged and left out."""
        with self._connection.use() as client:
            stored = client.hgetall(QUERIES_KEY)
        return _decoded(Query, stored)

    def put_stream(self, spec: StreamSpec) -> None:
        """Add or replace a stream. Its URL is stored with its credentials: they are needed to connect."""
        with self._connection.use() as client, client.pipeline(transaction=False) as pipe:
            pipe.hset(STREAMS_KEY, spec.stream_id, wire.encode(spec))
            for channel in Channel:
                pipe.persist(key_of(spec.stream_id, channel))
            pipe.execute()

    def remove_stream(self, stream_id: StreamId) -> None:
        """Remove a stream and its queries; its results expire after EXPIRE_AFTER_REMOVAL_S."""
        orphans = [query.query_id for query in self.queries() if query.stream_id == stream_id]
        with self._connection.use() as client, client.pipeline(transaction=False) as pipe:
            pipe.hdel(STREAMS_KEY, stream_id)
            if orphans:
                pipe.hdel(QUERIES_KEY, *orphans)
            for channel in Channel:
                pipe.expire(key_of(stream_id, channel), EXPIRE_AFTER_REMOVAL_S)
            pipe.execute()

    def put_query(self, query: Query) -> None:
        """Add a query, or replace it by its next revision."""
        with self._connection.use() as client:
            client.hset(QUERIES_KEY, query.query_id, wire.encode(query))

    def remove_query(self, query_id: QueryId) -> None:
        """Remove a query."""
        with self._connection.use() as client:
            client.hdel(QUERIES_KEY, query_id)

    def replace_all(self, streams: Iterable[StreamSpec], queries: Iterable[Query]) -> None:
        """Replace the stored state, for a Redis that restarted without its data.

        Without a transaction, since a cluster has the two hashes on two nodes: the new records are there
        before the old ones are removed, so that at no time one is missing.
        """
        wanted: dict[str, dict[Any, Any]] = {
            STREAMS_KEY: {spec.stream_id: wire.encode(spec) for spec in streams},
            QUERIES_KEY: {query.query_id: wire.encode(query) for query in queries},
        }
        with self._connection.use() as client:
            for key, records in wanted.items():
                stored: Any = client.hkeys(key)
                if records:
                    client.hset(key, mapping=records)
                if stale := [name for name in stored if name.decode() not in records]:
                    client.hdel(key, *stale)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()


def _decoded(kind: type[M], stored: Mapping[Any, Any]) -> list[M]:
    messages = []
    for name in sorted(stored):
        try:
            messages.append(wire.decode(kind, stored[name]))
        except InvalidMessage as exc:
            log.error("Left out the stored %s %r: %s", kind.__name__, name, exc)
    return messages
