"""Prefetching: batches are made ahead by worker processes.

An image with its texts takes about 7 ms of a core on the last level: little beside a training step on a CPU,
too much beside one on a GPU.
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

Request = TypeVar("Request")
Batch = TypeVar("Batch")

PREFETCH_FACTOR: Final = 4
"Batches per worker that are in work or wait to be taken."


def workers_for(device: torch.device) -> int:
    """Number of workers for training on a device: all cores but one for a GPU, none for the CPU."""
    return max((os.cpu_count() or 1) - 1, 1) if device.type == "cuda" else 0


def prefetch(load: Callable[[Request], Batch], requests: Iterable[Request], workers: int) -> Iterator[Batch]:
    """Yield `load(request)` for each request, in order; without workers it is called in this process.

    With workers, `load` and the requests have to be picklable, and requests are taken `PREFETCH_FACTOR *
    workers` batches before they are needed. Workers end with the iterator. An exception of `load` is raised
    here, at the place of its batch.

    torch's DataLoader is not used: with it a process that had used OpenVINO crashed when it next started a
    child, in five of five runs, forked or not (torch 2.13, OpenVINO 2026.4).
    """
    if workers == 0:
        yield from map(load, requests)
        return
    context = multiprocessing.get_context("forkserver")  # torch's: tensors travel in shared memory
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_use_one_core)
    pending: deque[Future[Batch]] = deque()
    try:
        for request in requests:
            pending.append(pool.submit(load, request))
            if len(pending) == PREFETCH_FACTOR * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _use_one_core() -> None:
    """Limit this worker to one thread: there is a worker for every core."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
