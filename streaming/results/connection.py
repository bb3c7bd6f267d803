"""Clients of Redis, and its errors as StoreUnavailable."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.backoff
import redis.cluster
import redis.exceptions
import redis.retry
import redis.sentinel
from pydantic import SecretStr
from redis.driver_info import DriverInfo

from streaming.errors import StoreUnavailable
from streaming.results.keys import PROBE_KEY
from streaming.results.redis_url import Target, as_cluster, parse_redis_url, with_password

TIMEOUT_S: Final = 1.0
"Of every call by a synchronous client."

READ_TIMEOUT_S: Final = 5.0
"""Of every call by an asyncio client. It includes the delay of its own event loop: on two busy cores 1.5 s
were exceeded while Redis answered at once."""

CLIENT_ERRORS: Final = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)

_REFUSES_ALL: Final = re.compile(
    r"\b(READONLY|MISCONF|OOM|MASTERDOWN|NOREPLICAS|BUSY)\b|ACL failure in script"
)
"In the text of replies that redis-py has no class for, and of scripts, which quote their commands' reasons."


class Connection:
    """A synchronous client of what `redis_url` names. Thread-safe; connects at its first command."""

    def __init__(self, redis_url: SecretStr) -> None:
        """Do not connect yet. Raises InvalidSettings (not a Redis URL)."""
        self._target = parse_redis_url(redis_url)
        self._client: redis.Redis | None = None
        self._lock = threading.Lock()
        self.address = self._target.address
        "For messages, without a password."

    @property
    def client(self) -> redis.Redis:
        """The client; a cluster's is made at the first use, since it asks for the nodes at once.

        A cluster's client has the same commands, and raises CLIENT_ERRORS here.
        """
        with self._lock:
            if self._client is None:
                self._client = _connect(self._target)
            return self._client

    @contextmanager
    def use(self) -> Iterator[redis.Redis]:
        """Yield the client; raise its errors as StoreUnavailable."""
        with store_errors(self.address):
            try:
                yield self.client
            except redis.exceptions.ReadOnlyError:
                self.reconnect()
                raise

    def reconnect(self) -> None:
        """Have the next command look up the address again: it may lead to another server since a failover."""
        if self._client is not None and self._target.kind != "cluster":
            self._client.connection_pool.disconnect()

    def check_writable(self) -> None:
        """Return if Redis takes writes. Raises StoreUnavailable: away, a replica, its disk or memory full."""
        with self.use() as client:
            client.hset(PROBE_KEY, "at", str(time.time()))

    def node_of(self, key: str) -> str:
        """Return the name of the node that holds a key; empty where there is one server."""
        client: Any = self.client
        return str(client.get_node_from_key(key).name) if self._target.kind == "cluster" else ""

    def time_s(self, node: str) -> float:
        """Return the clock of a node, Unix time. Raises CLIENT_ERRORS."""
        client: Any = self.client
        options = {"target_nodes": client.get_node(node_name=node)} if node else {}
        seconds, microseconds = client.time(**options)
        return float(seconds + microseconds / 1e6)

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()


def resolve_redis_url(redis_url: SecretStr, password: SecretStr | None) -> SecretStr:
    """Return the URL to connect with: with the password, and of the cluster if the server is a node of one.

    Raises InvalidSettings (not a Redis URL), StoreUnavailable.
    """
    redis_url = with_password(redis_url, password)
    connection = Connection(redis_url)
    if parse_redis_url(redis_url).kind != "server":
        return redis_url
    with connection.use() as client, client:
        client.ping()
        try:
            hello: Any = client.execute_command("HELLO")  # type: ignore[no-untyped-call]
        except redis.ResponseError:  # before Redis 6, or not allowed
            return redis_url
    return as_cluster(redis_url) if b"cluster" in hello else redis_url


def ping(redis_url: SecretStr) -> None:
    """Return if Redis answers. Raises StoreUnavailable, InvalidSettings (not a Redis URL)."""
    connection = Connection(redis_url)
    with connection.use() as client, client:
        client.ping()


def connect_async(target: Target) -> redis.asyncio.Redis:
    """Make an asyncio client; it connects at its first command."""
    retry = redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0)
    client = _client_of(redis.asyncio, target, READ_TIMEOUT_S, retry, "saccade-reader")
    return cast(redis.asyncio.Redis, client)


async def close_async(client: redis.asyncio.Redis) -> None:
    """Close a client of `connect_async`, and what it asks for the primary."""
    await client.aclose()
    pool = getattr(client, "connection_pool", None)
    if isinstance(pool, redis.asyncio.sentinel.SentinelConnectionPool):
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


@contextmanager
def store_errors(address: str) -> Iterator[None]:
    """Raise the client's errors as StoreUnavailable; `address` is that of a `Target`."""
    try:
        yield
    except redis.exceptions.MovedError as exc:
        raise StoreUnavailable(
            f"Redis at {address} is a node of a cluster.",
            remedy="Start the service again, or write redis+cluster:// in redis_url.",
        ) from exc
    except redis.AuthenticationError as exc:
        raise StoreUnavailable(
            f"Redis at {address} refuses this user or password.",
            remedy="See redis_url and redis_password.",
        ) from exc
    except (redis.ConnectionError, redis.TimeoutError, OSError) as exc:
        if "certificate" in str(exc):
            raise StoreUnavailable(
                f"The certificate of Redis at {address} is not trusted.",
                remedy="Name its authority: rediss://...?ssl_ca_certs=/path/ca.pem",
            ) from exc
        raise StoreUnavailable(
            f"Redis at {address} does not answer ({type(exc).__name__}).",
            remedy="Start it, or check redis_url.",
        ) from exc
    except CLIENT_ERRORS as exc:
        what = str(exc).rstrip(".")
        raise StoreUnavailable(f"Redis at {address} refused: {what}.", remedy="See its log.") from exc


def refuses_all(reply: Exception) -> bool:
    """Whether an error reply is about the server, so that the same entry may be taken later.

    A replica, a full disk or memory, a failover, missing permissions; not the type of one key.
    """
    return type(reply) is not redis.ResponseError or _REFUSES_ALL.search(str(reply)) is not None


def _connect(target: Target) -> redis.Redis:
    # The client would repeat a whole pipeline by itself; the writer decides when and what to repeat.
    retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    return cast(redis.Redis, _client_of(redis, target, TIMEOUT_S, retry, "saccade"))


def _client_of(library: Any, target: Target, timeout_s: float, retry: object, name: str) -> object:
    """Make a client of `redis` or `redis.asyncio`."""
    sockets = {"socket_connect_timeout": timeout_s, "socket_timeout": timeout_s}
    # A client's name would be set by CLIENT SETNAME; an ACL that refuses it would refuse the connection.
    ours = {"protocol": 2, "retry": retry, "driver_info": DriverInfo(name), **sockets}
    if target.kind == "server":
        return library.Redis.from_url(target.url, **ours)
    options = target.options | ours
    sentinels_own = {key: options.pop(f"sentinel_{key}", None) for key in ("username", "password")}
    if target.kind == "sentinel":
        tls = {key: value for key, value in options.items() if key.startswith("ssl")}
        to_sentinels = {**tls, **sockets, **sentinels_own, "retry": retry}
        sentinel = library.sentinel.Sentinel(target.nodes, sentinel_kwargs=to_sentinels, **options)
        return sentinel.master_for(target.service)
    nodes = [library.cluster.ClusterNode(host, port) for host, port in target.nodes]
    return library.cluster.RedisCluster(startup_nodes=nodes, require_full_coverage=False, **options)
