"""Which worker hosts which stream. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from streaming.vocabulary import StreamId


def place(streams: Iterable[StreamId], current: Mapping[StreamId, int], workers: int) -> dict[StreamId, int]:
    """Return the worker, 0 to `workers` - 1, of every stream.

    A placed stream stays, as its tracker's memory is there; a new one goes to the worker with the fewest.
    """
    wanted = list(streams)
    placed = {stream_id: current[stream_id] for stream_id in wanted if stream_id in current}
    load = Counter(placed.values())
    for stream_id in wanted:
        if stream_id not in placed:
            placed[stream_id] = min(range(workers), key=lambda number: (load[number], number))
            load[placed[stream_id]] += 1
    return placed
