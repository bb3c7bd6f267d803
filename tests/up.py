"""Runs `saccade up` as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from actors.cli.api_client import ServiceClient
from lab.fixtures.ports import free_port

CACHE = Path(tempfile.gettempdir()) / f"saccade-tests-{os.getuid()}"
"Cache of compiled models, kept between runs of the tests. Its keys contain the weights."

UNREACHABLE_PROXY = {
    **dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:9"),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
}
"Environment with a proxy that refuses connections: whatever uses it on this machine fails."

START_S = 240.0
"Longest start: Ray, the models and their first compilation on a loaded two-core machine."


@dataclass(frozen=True, slots=True)
class Up:
    """A running `saccade up`."""

    process: subprocess.Popen[bytes]
    server: str
    state: Path

    @property
    def token(self) -> str:
        return (self.state / "token").read_text().strip()

    @property
    def redis_url(self) -> str:
        return (self.state / "redis" / "url").read_text().strip()

    @property
    def log(self) -> str:
        return (self.state.parent / "log").read_text()

    def client(self) -> ServiceClient:
        return ServiceClient(self.server, self.token)

    def environment(self) -> dict[str, str]:
        return {"SACCADE_SERVER": self.server, "SACCADE_API_TOKEN": self.token}

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def saccade_up(folder: Path, **settings: str) -> Iterator[Up]:
    """Start a service in `folder` and wait until it is ready; stop it on exit."""
    with saccade_starting(folder, **settings) as up:
        _wait_until_ready(up)
        yield up


@contextmanager
def saccade_starting(folder: Path, **settings: str) -> Iterator[Up]:
    """Start a service in `folder` without waiting; stop it on exit."""
    port = free_port()
    environment = os.environ | {
        "SACCADE_PORT": str(port),
        "SACCADE_STATE_DIR": str(folder / "state"),
        "SACCADE_CACHE_DIR": str(CACHE),
        "SACCADE_ALLOWED_HOSTS": '["127.0.0.1/32"]',
        **UNREACHABLE_PROXY,
        **settings,
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "actors", "up"], cwd=folder, env=environment, stdout=log, stderr=log
        )
    up = Up(process, f"http://127.0.0.1:{port}", folder / "state")
    try:
        yield up
    finally:
        if process.poll() is None:
            up.stop()


def _wait_until_ready(up: Up) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        assert up.process.poll() is None, up.log
        try:
            if httpx.get(f"{up.server}/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
            continue
        time.sleep(0.2)
    raise AssertionError(f"not ready: {up.log}")
