"""Starting and stopping Ray, calls to actors, and the translation of Ray's errors."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable
from functools import cache
from typing import Any, TypeVar

import ray
from ray.exceptions import ActorDiedError, RayError, RayTaskError

from streaming.errors import SaccadeError, ServiceUnavailable

T = TypeVar("T")

NAMESPACE = "saccade"

_CONNECT_TIMEOUT_S = 5.0
OBJECT_STORE_BYTES = 224 << 20
"For keyframes sent to the grounder: the 32 of its queue at 1080p (6.9 MB each) fit."


class ActorDied(ServiceUnavailable):
    """An actor's process ended; Ray is restarting it."""


class CannotStart(ServiceUnavailable):
    """An actor's constructor raised; Ray does not restart it."""

    retryable = False


def start_ray(address: str | None) -> None:
    """Join the cluster at `address`, or start Ray on this machine. Blocks for 4 to 14 s.

    Raises ServiceUnavailable.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        if address is not None:
            _check_reachable(address)
            ray.init(address=address, namespace=NAMESPACE, logging_level=logging.ERROR, log_to_driver=True)
            return
        # A token of this process, in memory: otherwise Ray stores one in the home folder, readable by all,
        # and does not start where the folder is not writable.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Ray raises the niceness of its workers by 15 (ray-project/ray#24928), which would delay frames.
        os.environ.setdefault("RAY_worker_niceness", "0")
        ray.init(
            address="local",
            namespace=NAMESPACE,
            logging_level=logging.ERROR,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=True,
        )
    except Exception as exc:  # Ray raises bare exceptions too, for instance if a node takes 30 s to start
        where = f"at {address}" if address else "on this machine"
        raise ServiceUnavailable(
            f"Ray does not start {where}: {str(exc).rstrip('.')}.",
            remedy="Check `ray_address`, memory and /dev/shm.",
        ) from exc


def _check_reachable(address: str) -> None:
    """Raise OSError if nothing listens at `address`: Ray itself would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT_S).close()


def stop_ray() -> None:
    """Leave the cluster; a cluster that we started ends with all its processes. Blocks for 1 to 2 s."""
    ray.shutdown()


@cache
def find_actor(name: str) -> Any:
    """Return the handle of the actor of that name. Raises ActorDied if there is none (yet)."""
    try:
        return ray.get_actor(name, NAMESPACE)
    except ValueError as exc:
        raise ActorDied(f"There is no {name}.") from exc


async def call(reference: Awaitable[T], timeout_s: float) -> T:
    """Return the result of a remote call. Raises its SaccadeError, or ServiceUnavailable if it did not
    answer."""
    try:
        async with asyncio.timeout(timeout_s):
            return await reference
    except RayTaskError as exc:
        cause: Any = exc.cause
        if isinstance(cause, SaccadeError):
            raise cause from None
        raise ServiceUnavailable(f"A part of the service failed: {type(cause).__name__}.") from exc
    except ActorDiedError as exc:
        if exc.actor_init_failed:
            raise CannotStart(_message_of(exc)) from exc
        raise ActorDied("A part of the service died; it is being restarted.") from exc
    except RayError as exc:
        raise ActorDied("A part of the service died; it is being restarted.") from exc
    except TimeoutError as exc:
        raise ServiceUnavailable(f"A part of the service did not answer within {timeout_s:g} s.") from exc


async def iterate(generator: Any, timeout_s: float) -> AsyncIterator[Any]:
    """Yield what a remote generator yields. Raises as `call`; each item may take `timeout_s`."""
    while True:
        try:
            reference = await call(anext(generator), timeout_s)
        except StopAsyncIteration:
            return
        yield await call(reference, timeout_s)


def _message_of(exc: ActorDiedError) -> str:
    """Return the message of the constructor's exception: the last line of its traceback, without the type."""
    last = [line for line in str(exc).splitlines() if line.strip()][-1]
    return last.partition(": ")[2] or last
