"""A signal cancels once; clean-up is completed."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading

import pytest

from actors.shutdown import SIGNALS, run_stoppable, run_to_completion


def raise_here(number: signal.Signals) -> None:
    """Send a signal to this thread, so that it is delivered when this returns."""
    signal.pthread_kill(threading.get_ident(), number)


async def long_work(cleaned: list[str]) -> str:
    try:
        await asyncio.sleep(60)
    finally:
        for part in ("gateway", "workers", "redis"):
            raise_here(signal.SIGTERM)
            await asyncio.sleep(0.01)
            cleaned.append(part)
    return "it ran to its end"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_cancels_and_further_signals_do_not_interrupt_the_clean_up(number: signal.Signals) -> None:
    cleaned: list[str] = []

    async def work() -> str:
        asyncio.get_running_loop().call_later(0.02, raise_here, number)
        return await long_work(cleaned)

    assert run_stoppable(work()) is None
    assert cleaned == ["gateway", "workers", "redis"]


def test_the_result_is_returned() -> None:
    async def work() -> int:
        return 7

    assert run_stoppable(work()) == 7


def test_an_exception_is_raised() -> None:
    async def work() -> None:
        raise ConnectionError("refused")

    with pytest.raises(ConnectionError, match="refused"):
        run_stoppable(work())


def test_work_that_handles_its_cancellation_returns_a_result() -> None:
    async def work() -> str:
        try:
            raise_here(signal.SIGINT)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "so far"
        return "all"

    assert run_stoppable(work()) == "so far"


def test_signal_handlers_are_restored() -> None:
    async def work() -> None: ...

    before = [signal.getsignal(number) for number in SIGNALS]
    run_stoppable(work())
    assert [signal.getsignal(number) for number in SIGNALS] == before


async def test_run_to_completion_finishes_before_it_raises_the_cancellation() -> None:
    ended = asyncio.Event()

    async def start_process() -> None:
        await asyncio.sleep(0.05)
        ended.set()

    task = asyncio.create_task(run_to_completion(start_process()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


SLOW_CLEAN_UP = """
import asyncio
from actors.ray_runtime import start_ray, stop_ray
from actors.shutdown import run_stoppable

async def work():
    await asyncio.to_thread(start_ray, None)
    try:
        print("started", flush=True)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(4)
        stop_ray()
        print("cleaned", flush=True)

run_stoppable(work())
"""


def test_a_clean_up_of_more_than_3_s_is_not_aborted_by_rays_handler() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_CLEAN_UP], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "started\n"
        running.send_signal(signal.SIGTERM)
        assert running.stdout.read() == "cleaned\n"
    assert running.returncode == 0
