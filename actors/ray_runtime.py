"""Where Ray's errors become ours: one way to start it, one way to call it."""

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

_KNOCK_TIMEOUT_S = 5.0
OBJECT_STORE_BYTES = 224 << 20
"Holds keyframes on their way to the grounder: the queue's 32 at 1080p (6.9 MB each) just fit."


class PartDied(ServiceUnavailable):
    """A process of ours is gone; Ray is starting it again."""


class CannotStart(ServiceUnavailable):
    """A process of ours failed while it was being made; Ray does not try again."""

    retryable = False


def start_ray(address: str | None) -> None:
    """Join the cluster at `address`, or start Ray on this machine. Blocks for 4 to 14 s.

    Raises ServiceUnavailable.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        if address is not None:
            _knock(address)
            ray.init(address=address, namespace=NAMESPACE, logging_level=logging.ERROR, log_to_driver=True)
            return
        # A token of this process's own, in memory: else Ray keeps one in the home folder, for all to read,
        # and does not start where that cannot be written.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Ray's workers give way to all other programs (15 nicer, ray-project/ray#24928). Ours would wait with
        # frames in hand, so they are as nice as we are.
        os.environ.setdefault("RAY_worker_niceness", "0")
        ray.init(
            address="local",
            namespace=NAMESPACE,
            logging_level=logging.ERROR,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=True,
        )
    except Exception as exc:  # Ray's own edge: it raises bare ones too, of a node that takes 30 s to come up
        where = f"at {address}" if address else "on this machine"
        raise ServiceUnavailable(
            f"Ray does not start {where}: {str(exc).rstrip('.')}.",
            remedy="Check `ray_address`, memory and /dev/shm.",
        ) from exc


def _knock(address: str) -> None:
    """Raise OSError if nobody listens there: Ray itself would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_TIMEOUT_S).close()


def stop_ray() -> None:
    """Leave the cluster; the one we started ends, with every process of it. Blocks for a second or two."""
    ray.shutdown()


@cache
def find_actor(name: str) -> Any:
    """The actor of that name. Raises ServiceUnavailable if there is none (yet)."""
    try:
        return ray.get_actor(name, NAMESPACE)
    except ValueError as exc:
        raise PartDied(f"There is no {name}.") from exc


async def call(reference: Awaitable[T], timeout_s: float) -> T:
    """What a remote call returns. Raises its own SaccadeError, or ServiceUnavailable if it did not answer."""
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
            raise CannotStart(_last_words(exc)) from exc
        raise PartDied("A part of the service died; it is being restarted.") from exc
    except RayError as exc:
        raise PartDied("A part of the service died; it is being restarted.") from exc
    except TimeoutError as exc:
        raise ServiceUnavailable(f"A part of the service did not answer within {timeout_s:g} s.") from exc


async def stream(generator: Any, timeout_s: float) -> AsyncIterator[Any]:
    """What a remote generator yields. Raises as `call`, each item may take `timeout_s`."""
    while True:
        try:
            reference = await call(anext(generator), timeout_s)
        except StopAsyncIteration:
            return
        yield await call(reference, timeout_s)


def _last_words(exc: ActorDiedError) -> str:
    """The message of the error that was raised over there: the last line of its traceback, less the type."""
    last = [line for line in str(exc).splitlines() if line.strip()][-1]
    return last.partition(": ")[2] or last
