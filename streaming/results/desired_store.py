"""The desired state in Redis: the streams and queries that users asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import SecretStr

from streaming import wire
from streaming.errors import InvalidMessage
from streaming.results.connection import connect, store_errors
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
        self._redis = connect(redis_url)

    def streams(self) -> list[StreamSpec]:
        """Return all streams by id. A record that cannot be decoded is logged and left out."""
        with store_errors(self._redis):
            stored = self._redis.hgetall(STREAMS_KEY)
        return _decoded(StreamSpec, stored)

    def queries(self) -> list[Query]:
        """Return all queries by id. A record that cannot be decoded is logged and left out."""
        with store_errors(self._redis):
            stored = self._redis.hgetall(QUERIES_KEY)
        return _decoded(Query, stored)

    def put_stream(self, spec: StreamSpec) -> None:
        """Add or replace a stream. Its URL is stored with its credentials: they are needed to connect."""
        with store_errors(self._redis), self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(STREAMS_KEY, spec.stream_id, wire.encode(spec))
            for channel in Channel:
                pipe.persist(key_of(spec.stream_id, channel))
            pipe.execute()

    def remove_stream(self, stream_id: StreamId) -> None:
        """Remove a stream and its queries; its results expire after EXPIRE_AFTER_REMOVAL_S."""
        orphans = [query.query_id for query in self.queries() if query.stream_id == stream_id]
        with store_errors(self._redis), self._redis.pipeline(transaction=True) as pipe:
            pipe.hdel(STREAMS_KEY, stream_id)
            if orphans:
                pipe.hdel(QUERIES_KEY, *orphans)
            for channel in Channel:
                pipe.expire(key_of(stream_id, channel), EXPIRE_AFTER_REMOVAL_S)
            pipe.execute()

    def put_query(self, query: Query) -> None:
        """Add a query, or replace it by its next revision."""
        with store_errors(self._redis):
            self._redis.hset(QUERIES_KEY, query.query_id, wire.encode(query))

    def remove_query(self, query_id: QueryId) -> None:
        """Remove a query."""
        with store_errors(self._redis):
            self._redis.hdel(QUERIES_KEY, query_id)

    def replace_all(self, streams: Iterable[StreamSpec], queries: Iterable[Query]) -> None:
        """Replace the stored state in one transaction, for a Redis that restarted without its data."""
        with store_errors(self._redis), self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(STREAMS_KEY, QUERIES_KEY)
            for spec in streams:
                pipe.hset(STREAMS_KEY, spec.stream_id, wire.encode(spec))
            for query in queries:
                pipe.hset(QUERIES_KEY, query.query_id, wire.encode(query))
            pipe.execute()

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


def _decoded(kind: type[M], stored: Mapping[Any, Any]) -> list[M]:
    messages = []
    for name in sorted(stored):
        try:
            messages.append(wire.decode(kind, stored[name]))
        except InvalidMessage as exc:
            log.error("Left out the stored %s %r: %s", kind.__name__, name, exc)
    return messages
