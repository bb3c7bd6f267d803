"""A signal ends work once; what it puts away afterwards is put away whole."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from actors.shutdown import SIGNALS, run_stoppable, to_its_end


def raise_here(number: signal.Signals) -> None:
    """To this thread, so that it has come when this returns; another may take it when nobody is ready."""
    signal.pthread_kill(threading.get_ident(), number)


async def long_work(put_away: list[str]) -> str:
    try:
        await asyncio.sleep(60)
    finally:
        for part in ("gateway", "workers", "redis"):
            raise_here(signal.SIGTERM)
            await asyncio.sleep(0.01)
            put_away.append(part)
    return "it ran to its end"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_work_and_further_ones_do_not_disturb_its_end(number: signal.Signals) -> None:
    put_away: list[str] = []

    async def work() -> str:
        asyncio.get_running_loop().call_later(0.02, raise_here, number)
        return await long_work(put_away)

    assert run_stoppable(work()) is None
    assert put_away == ["gateway", "workers", "redis"]


def test_work_that_ends_by_itself_says_what_it_found() -> None:
    async def work() -> int:
        return 7

    assert run_stoppable(work()) == 7


def test_work_that_fails_says_why() -> None:
    async def work() -> None:
        raise ConnectionError("nobody there")

    with pytest.raises(ConnectionError, match="nobody"):
        run_stoppable(work())


def test_work_may_answer_all_the_same_when_it_is_stopped() -> None:
    async def work() -> str:
        try:
            raise_here(signal.SIGINT)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "so far"
        return "all"

    assert run_stoppable(work()) == "so far"


def test_afterwards_signals_mean_what_they_meant() -> None:
    async def work() -> None: ...

    before = [signal.getsignal(number) for number in SIGNALS]
    run_stoppable(work())
    assert [signal.getsignal(number) for number in SIGNALS] == before


async def test_what_must_end_ends_before_its_cancellation_is_felt() -> None:
    ended = asyncio.Event()

    async def start_process() -> None:
        await asyncio.sleep(0.05)
        ended.set()

    task = asyncio.create_task(to_its_end(start_process()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
