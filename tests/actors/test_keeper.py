"""A keeper and a real process that dies under it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import ray

from actors import keeper as keeper_module
from actors.keeper import Keeper
from actors.ray_edge import CannotStart, call
from actors.worker import Desired
from streaming.vocabulary import SourceState, StreamId, StreamSpec
from tests.doubles import HostActor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_here"), pytest.mark.timeout(180)]
S = StreamId("s")


class Kept:
    """A keeper, its process, and what the test wants of it."""

    def __init__(self) -> None:
        self.wanted = Desired((), ())
        self.handle: Any = ray.remote(HostActor).options(num_cpus=0, max_restarts=-1).remote()
        self.keeper = Keeper("worker-0", self.handle, lambda: self.wanted)

    async def well(self) -> None:
        deadline_s = time.monotonic() + 60
        while self.keeper.problem:
            assert time.monotonic() < deadline_s, self.keeper.problem
            await asyncio.sleep(0.02)


@pytest.fixture
async def kept() -> AsyncIterator[Kept]:
    one = Kept()
    yield one
    await one.keeper.close()
    ray.kill(one.handle)


async def test_before_its_first_word_a_worker_is_starting(kept: Kept) -> None:
    assert kept.keeper.problem == "It is starting."
    assert kept.keeper.status(S) is None


async def test_a_worker_is_told_what_is_wanted_and_its_word_is_kept(kept: Kept) -> None:
    kept.wanted = Desired((StreamSpec(S, "whip:"),), ())
    await kept.well()
    assert await call(kept.handle.last_told.remote(), 10) == kept.wanted
    status = kept.keeper.status(S)
    assert status is not None and status.state is SourceState.LIVE


async def test_a_change_is_told_when_push_returns(kept: Kept) -> None:
    await kept.well()
    kept.wanted = Desired((StreamSpec(StreamId("new"), "whip:"),), ())
    await kept.keeper.push(10)
    assert await call(kept.handle.last_told.remote(), 10) == kept.wanted


async def test_a_worker_that_died_is_counted_and_told_again(kept: Kept) -> None:
    kept.wanted = Desired((StreamSpec(S, "whip:"),), ())
    await kept.well()
    os.kill(await call(kept.handle.pid.remote(), 10), signal.SIGKILL)
    deadline_s = time.monotonic() + 60
    while kept.keeper.restarts == 0:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.02)
    while await call(kept.handle.last_told.remote(), 10) != kept.wanted:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.02)


async def test_push_does_not_wait_for_ever_for_a_dead_worker(kept: Kept) -> None:
    await kept.well()
    ray.kill(kept.handle)
    await kept.keeper.push(0.3)


async def test_a_worker_that_is_slow_to_host_is_troubled_but_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "_HANG_S", 0.5)
    monkeypatch.setattr(keeper_module, "_HOST_TIMEOUT_S", 1.0)
    handle: Any = ray.remote(HostActor).options(num_cpus=0, max_restarts=-1).remote(hosting_s=60.0)
    pid = await call(handle.pid.remote(), 60)
    keeper = Keeper("worker-0", handle, lambda: Desired((), ()))
    await keeper.push(4.0)
    assert "did not answer" in keeper.problem
    assert await call(handle.pid.remote(), 10) == pid, "longer than _HANG_S, and not killed"
    await keeper.close()
    ray.kill(handle)


async def test_a_worker_that_cannot_be_made_is_given_up_with_its_reason() -> None:
    handle = ray.remote(HostActor).options(num_cpus=0, max_restarts=-1).remote(trouble="No weights here.")
    keeper = Keeper("worker-0", handle, lambda: Desired((), ()))
    deadline_s = time.monotonic() + 60
    with pytest.raises(CannotStart, match="No weights"):
        while time.monotonic() < deadline_s:
            keeper.check()
            await asyncio.sleep(0.02)
    assert "No weights" in keeper.problem
    await keeper.close()
