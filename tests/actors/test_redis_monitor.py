"""Redis that is away, back, and a monitor that survives its own errors."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from pydantic import SecretStr

from actors.redis_monitor import RedisMonitor
from actors.redis_server import RedisServer
from streaming.errors import StoreUnavailable
from streaming.results.connection import Connection
from tests.redis_entries import plain

NOWHERE = SecretStr("redis://127.0.0.1:1/0")


async def no_restore() -> None:
    """Restores nothing."""


async def test_the_monitor_survives_any_error(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = iter([OSError("no more processes"), StoreUnavailable("It is away.")])

    def check_writable(_: Connection) -> None:
        for error in errors:
            raise error

    monkeypatch.setattr("actors.redis_monitor.Connection.check_writable", check_writable)
    monitor = RedisMonitor(NOWHERE, None, no_restore, round_s=0.01)
    task = asyncio.create_task(monitor.run())
    seen = set()
    while "" not in seen or len(seen) < 3:
        assert not task.done()
        await asyncio.sleep(0.001)
        seen.add(monitor.problem.partition(":")[0])
        if len(seen) == 1:
            seen.discard("")  # before the first round
    task.cancel()
    assert seen == {"", "Monitoring Redis failed", "It is away."}


async def test_a_killed_server_of_ours_is_restarted_and_restored(own_redis: RedisServer) -> None:
    restored = asyncio.Event()

    async def restore() -> None:
        restored.set()

    monitor = RedisMonitor(own_redis.url, own_redis, restore, round_s=0.05)
    task = asyncio.create_task(monitor.run())
    assert own_redis.pid is not None
    os.kill(own_redis.pid, signal.SIGKILL)
    deadline_s = time.monotonic() + 10
    while not restored.is_set() or monitor.problem:
        assert time.monotonic() < deadline_s, monitor.problem
        await asyncio.sleep(0.02)
    task.cancel()
    (restarts,) = (
        sample.value
        for family in monitor.registry.collect()
        for sample in family.samples
        if sample.name == "saccade_store_restarts_total"
    )
    assert restarts == 1


async def test_an_unreachable_redis_is_a_problem() -> None:
    monitor = RedisMonitor(NOWHERE, None, no_restore, round_s=0.01)
    task = asyncio.create_task(monitor.run())
    while not monitor.problem:
        await asyncio.sleep(0.01)
    task.cancel()
    assert "127.0.0.1:1" in monitor.problem


async def test_a_redis_that_takes_no_writes_is_a_problem_until_it_does(own_redis: RedisServer) -> None:
    monitor = RedisMonitor(own_redis.url, None, no_restore, round_s=0.01)
    task = asyncio.create_task(monitor.run())
    with plain(own_redis) as client:
        client.config_set("maxmemory", 1)
        while not monitor.problem:
            await asyncio.sleep(0.01)
        assert "maxmemory" in monitor.problem
        client.config_set("maxmemory", 0)
        while monitor.problem:
            await asyncio.sleep(0.01)
    task.cancel()
