"""Cancellation by SIGINT or SIGTERM, once, with an uninterrupted clean-up."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_stoppable(work: Coroutine[Any, Any, T]) -> T | None:
    """Run `work`; the first signal cancels it, further signals are ignored while it cleans up.

    Returns what `work` returns, None if it was cancelled. Raises what `work` raises.
    """
    return asyncio.run(_until_signal(work))


async def _until_signal(work: Coroutine[Any, Any, T]) -> T | None:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)

    def stop() -> None:
        # Ray handles SIGTERM first, in C++ (absl's failure signal handler): it calls ours, but has set an
        # alarm that aborts the process 3 s later.
        signal.alarm(0)
        if not task.cancelling():
            task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        await asyncio.wait([task])
        return None if task.cancelled() else task.result()
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


async def run_to_completion(work: Awaitable[T]) -> T:
    """Await `work` to its end even if cancelled; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
