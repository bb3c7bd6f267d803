"""Batches drawn ahead by processes of their own: one process draws about as fast as one core of a CPU learns,
and a GPU learns as fast as a dozen draw."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

Order = TypeVar("Order")
Drawn = TypeVar("Drawn")

AHEAD = 4
"Batches that each process keeps ready."


def painters_for(device: torch.device) -> int:
    """Processes that should draw: every core but one where a GPU learns; none beside a CPU, which is busy."""
    return max((os.cpu_count() or 1) - 1, 1) if device.type == "cuda" else 0


def feed(draw: Callable[[Order], Drawn], orders: Iterable[Order], painters: int) -> Iterator[Drawn]:
    """What `draw` makes of each order, in their order, whoever draws it; without painters it is drawn here.

    Orders are taken up to `AHEAD` batches per painter before they are needed. Painters end with the iterator.
    """
    if painters == 0:
        return map(draw, orders)
    loader: DataLoader[Drawn] = DataLoader(
        _Studio(draw),
        batch_size=None,
        sampler=orders,
        num_workers=painters,
        prefetch_factor=AHEAD,
        worker_init_fn=_alone,
    )
    return iter(loader)


class _Studio(Dataset[Any]):
    """What a DataLoader asks for: an item by its index, which is an order here."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self._draw = draw

    def __getitem__(self, order: Any) -> Any:
        return self._draw(order)


def _alone(_: int) -> None:
    """A painter uses one core: there is one painter for each."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
