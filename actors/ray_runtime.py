"""Starting and stopping Ray, calls to actors, and the translation of Ray's errors."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable
from functools import cache
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar

import ray
from ray._private import ray_constants
from ray.exceptions import ActorDiedError, RayError, RayTaskError

from streaming.errors import SaccadeError, ServiceUnavailable

T = TypeVar("T")

NAMESPACE = "saccade"

_CONNECT_TIMEOUT_S = 5.0
OBJECT_STORE_BYTES = 224 << 20
"For keyframes sent to the grounder: the 32 of its queue at 1080p (6.9 MB each) fit."
_LOOPBACK: Final = "127.0.0.1"
_FOLDER, _LOCK = "saccade-ray-", "lock"
"Prefix of the folder of a Ray of our own, before a random part; the file in it that its process has locked."
_LONGEST_PARENT: Final = 16
"Characters of the folder that it is in. Paths of sockets have 107 at most; the rest of Ray's needs 87."
_owned: list[tuple[Path, TextIO]] = []
"Folders of this process, with their locks."


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
        _start_own()
    except Exception as exc:  # Ray raises bare exceptions too, for instance if a node takes 30 s to start
        where = f"at {address}" if address else "on this machine"
        raise ServiceUnavailable(
            f"Ray does not start {where}: {str(exc).rstrip('.')}.",
            remedy="Check `ray_address`, memory and /dev/shm.",
        ) from exc


def _start_own() -> None:
    _remove_abandoned_folders()
    # A token of this process, in memory: otherwise Ray stores one in the home folder, readable by all,
    # and does not start where the folder is not writable.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    # Ray raises the niceness of its workers by 15 (ray-project/ray#24928), which would delay frames.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # Ray's control store keeps an event of every call: 3.3 MiB a minute with changing queries.
    os.environ.setdefault("RAY_task_events_report_interval_ms", "0")
    # Without clusters Ray listens on loopback alone, with them always on all interfaces: its switch for
    # Windows and macOS does it on Linux, too, in this process by the constant, in others by the variable.
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False
    ray.init(
        address="local",
        namespace=NAMESPACE,
        logging_level=logging.ERROR,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=True,
        _node_ip_address=_LOOPBACK,
        _temp_dir=str(_private_folder()),
    )


def _private_folder() -> Path:
    """Make a folder for Ray inside one of this user alone: Ray opens its own to all users.

    This process holds a lock in it, which ends with the process.
    """
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=_parent()))
    lock = (folder / "new").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / "new").rename(folder / _LOCK)
    _owned.append((folder, lock))
    return folder / "r"


def _parent() -> Path:
    parent = tempfile.gettempdir()
    return Path(parent if len(parent) <= _LONGEST_PARENT else "/tmp")  # noqa: S108


def _remove_abandoned_folders() -> None:
    """Remove what processes of this user left that were killed."""
    for path in _parent().glob(f"{_FOLDER}*/{_LOCK}"):
        try:
            if path.parent.lstat().st_uid == os.getuid():
                with path.open("r+") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path.parent, ignore_errors=True)
        except OSError:  # its process is alive, or another process removes it at this moment
            continue


def _check_reachable(address: str) -> None:
    """Raise OSError if nothing listens at `address`: Ray itself would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT_S).close()


def stop_ray() -> None:
    """Leave the cluster; a cluster that we started ends with all its processes. Blocks for 1 to 2 s."""
    ray.shutdown()
    while _owned:
        folder, lock = _owned.pop()
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


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
