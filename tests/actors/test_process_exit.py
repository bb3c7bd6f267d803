"""The end of a process is noticed at once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from actors.process_exit import ExitWatch, pid_namespace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


async def test_a_killed_process_is_noticed_before_it_is_reaped(sleeper: subprocess.Popen[bytes]) -> None:
    ended = asyncio.Event()
    watch = ExitWatch(ended.set)
    watch.follow(sleeper.pid, pid_namespace())
    await asyncio.sleep(0.01)
    assert not ended.is_set()
    os.kill(sleeper.pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        await ended.wait()
    assert watch._file is None


async def test_a_process_that_is_no_longer_followed_ends_unnoticed(sleeper: subprocess.Popen[bytes]) -> None:
    ended = asyncio.Event()
    watch = ExitWatch(ended.set)
    watch.follow(sleeper.pid, pid_namespace())
    watch.follow(os.getpid(), pid_namespace())
    sleeper.kill()
    sleeper.wait()
    await asyncio.sleep(0.05)
    assert not ended.is_set()
    watch.close()


@pytest.mark.parametrize("namespace", ["", "another machine"])
async def test_a_process_elsewhere_is_not_followed(sleeper: subprocess.Popen[bytes], namespace: str) -> None:
    watch = ExitWatch(lambda: None)
    watch.follow(sleeper.pid, namespace)
    assert watch._file is None


async def test_a_process_that_is_gone_is_not_followed(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    watch = ExitWatch(lambda: None)
    watch.follow(sleeper.pid, pid_namespace())
    assert watch._file is None


def test_two_processes_of_one_machine_have_one_namespace() -> None:
    program = "from actors.process_exit import pid_namespace; print(pid_namespace())"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == pid_namespace() != ""
