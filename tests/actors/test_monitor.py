"""A keeper and a real process that dies under it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray

from actors import monitor as keeper_module
from actors.monitor import Keeper
from actors.ray_runtime import CannotStart, call
from actors.worker import Desired
from streaming.vocabulary import SourceState, StreamId, StreamSpec
from tests.doubles import HostActor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_here"), pytest.mark.timeout(180)]
S = StreamId("s")


def host(**options: Any) -> Any:
    return ray.remote(HostActor).options(num_cpus=0, max_restarts=-1).remote(**options)


class Kept:
    """A keeper, its process, and what the test wants of it."""

    def __init__(self) -> None:
        self.wanted = Desired((), ())
        self.keeper = Keeper("worker-0", host, lambda: self.wanted)

    @property
    def handle(self) -> Any:
        return self.keeper.handle

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
    monkeypatch.setattr(keeper_module, "_HANG_S", 3.0)
    monkeypatch.setattr(keeper_module, "_HOST_TIMEOUT_S", 4.0)
    keeper = Keeper("worker-0", partial(host, hosting_s=60.0), lambda: Desired((), ()))
    handle = keeper.handle
    pid = await call(handle.pid.remote(), 60)
    await keeper.push(6.0)
    assert "did not answer" in keeper.problem
    assert await call(handle.pid.remote(), 10) == pid, "longer than _HANG_S, and not killed"
    await keeper.close()
    ray.kill(handle)


async def test_a_worker_that_cannot_be_made_is_given_up_with_its_reason() -> None:
    keeper = Keeper("worker-0", partial(host, trouble="No weights here."), lambda: Desired((), ()))
    deadline_s = time.monotonic() + 60
    with pytest.raises(CannotStart, match="No weights"):
        while time.monotonic() < deadline_s:
            keeper.check()
            await asyncio.sleep(0.02)
    assert "No weights" in keeper.problem
    await keeper.close()


async def test_a_worker_that_cannot_be_made_again_is_tried_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "_ANEW_S", 0.2)
    full = tmp_path / "full"
    keeper = Keeper("worker-0", partial(host, full_disk=full), lambda: Desired((), ()))
    deadline_s = time.monotonic() + 60
    pid = await call(keeper.handle.pid.remote(), 60)
    while keeper.problem:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.02)
    full.touch()
    os.kill(pid, signal.SIGKILL)
    while "No space left" not in keeper.problem:
        assert time.monotonic() < deadline_s, keeper.problem
        await asyncio.sleep(0.02)
    full.unlink()
    while keeper.problem or keeper.restarts == 0:
        assert time.monotonic() < deadline_s, keeper.problem
        keeper.check()
        await asyncio.sleep(0.02)
    await keeper.close()
    ray.kill(keeper.handle)
