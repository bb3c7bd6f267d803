"""Clients of Redis, and its errors as StoreUnavailable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import redis
import redis.asyncio
import redis.asyncio.connection
import redis.asyncio.retry
import redis.backoff
import redis.retry
from pydantic import SecretStr

from streaming.errors import InvalidSettings, StoreUnavailable

TIMEOUT_S: Final = 1.0
"Of every call by a synchronous client."

READ_TIMEOUT_S: Final = 5.0
"""Of every call by an asyncio client. It includes the delay of its own event loop: on two busy cores 1.5 s
were exceeded while Redis answered at once."""


def ping(redis_url: SecretStr) -> None:
    """Return if Redis answers. Raises StoreUnavailable, InvalidSettings (not a Redis URL)."""
    client = connect(redis_url)
    with store_errors(client), client:
        client.ping()


def connect(redis_url: SecretStr) -> redis.Redis:
    """Make a synchronous client; it connects at its first command. Raises InvalidSettings (not a Redis
    URL)."""
    return redis.Redis.from_url(
        _checked(redis_url),
        protocol=2,
        # The client would repeat a whole pipeline by itself; the writer decides when and what to repeat.
        retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
        socket_connect_timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        client_name="saccade",
    )


def connect_async(redis_url: SecretStr) -> redis.asyncio.Redis:
    """Make an asyncio client; it connects at its first command. Raises InvalidSettings (not a Redis URL)."""
    return redis.asyncio.Redis.from_url(
        _checked(redis_url),
        protocol=2,
        retry=redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0),
        socket_connect_timeout=READ_TIMEOUT_S,
        socket_timeout=READ_TIMEOUT_S,
        client_name="saccade-reader",
    )


@contextmanager
def store_errors(client: redis.Redis | redis.asyncio.Redis) -> Iterator[None]:
    """Raise the client's errors as StoreUnavailable."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, OSError) as exc:
        raise StoreUnavailable(
            f"Redis at {address_of(client)} does not answer ({type(exc).__name__}).",
            remedy="Start it, or check redis_url.",
        ) from exc
    except redis.RedisError as exc:
        raise StoreUnavailable(f"Redis at {address_of(client)} refused: {exc}.") from exc


def address_of(client: redis.Redis | redis.asyncio.Redis) -> str:
    """Return `host:port`, or the path of a Unix socket; no password."""
    options = client.connection_pool.connection_kwargs
    return str(options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}")


def _checked(redis_url: SecretStr) -> str:
    """Return the URL without its `protocol` option: replies have other shapes in RESP3, and RESP2 is read
    here."""
    url = re.sub(r"(?<=[?&])protocol=\d+&?", "", redis_url.get_secret_value())
    try:
        redis.asyncio.connection.parse_url(url)
    except ValueError:
        # Not chained: the message may quote the password where the URL is malformed.
        how = "Write redis://[user:password@]host:port/0."
        raise InvalidSettings("redis_url is not a Redis URL.", remedy=how) from None
    return url
