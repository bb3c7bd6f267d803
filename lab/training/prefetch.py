"""Batches drawn ahead by processes of their own.

A picture and its words take about 7 ms of a core on the widest level: little beside a CPU that learns from
them, not beside a GPU.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Final, TypeVar

import cv2
import torch
from torch import multiprocessing

Order = TypeVar("Order")
Drawn = TypeVar("Drawn")

AHEAD: Final = 4
"Batches for each process that are being drawn or wait."


def painters_for(device: torch.device) -> int:
    """Processes that should draw: every core but one where a GPU learns; none beside a CPU, which is busy."""
    return max((os.cpu_count() or 1) - 1, 1) if device.type == "cuda" else 0


def feed(draw: Callable[[Order], Drawn], orders: Iterable[Order], painters: int) -> Iterator[Drawn]:
    """What `draw` makes of each order, in their order, whoever draws it; without painters it is drawn here.

    With painters, `draw` must be picklable, and orders are taken `AHEAD` batches per painter before they are
    needed. Painters end with the iterator.

    Not torch's DataLoader: forked or not, with it a process that had used OpenVINO crashed soon after, at its
    next child, five times of five (torch 2.13, OpenVINO 2026.4).
    """
    if painters == 0:
        yield from map(draw, orders)
        return
    context = multiprocessing.get_context("forkserver")  # torch's: tensors travel in shared memory
    pool = ProcessPoolExecutor(painters, mp_context=context, initializer=_alone)
    waiting: deque[Future[Drawn]] = deque()
    try:
        for order in orders:
            waiting.append(pool.submit(draw, order))
            if len(waiting) == AHEAD * painters:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _alone() -> None:
    """A painter uses one core: there is one painter for each."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
