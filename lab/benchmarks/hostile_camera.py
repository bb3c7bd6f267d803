"""`saccade bench camera`: how much of the time a stream is live while its camera misbehaves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.fixtures.hostile_camera import HOSTILE, HostileCamera, Manners, encode_pictures
from streaming.rtsp.source import RtspSource
from streaming.sources.base import SourceStatus
from streaming.sources.live import SourceLimits
from streaming.url_guard import SourcePolicy, check_source_url
from streaming.vocabulary import Frame, SourceState, StreamId

SAMPLE_S: Final = 0.05
GOP: Final = 25
SIZE: Final = (640, 360)
"Width, height of the pictures, pixels."


@dataclass(frozen=True, slots=True)
class Memory:
    """Of this process, at a time."""

    resident_bytes: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class HostileReport:
    """A run against the hostile camera."""

    seconds: float
    live: float
    "Fraction of the time, 0..1, in which the stream was live, after its first picture."
    longest_gap_s: float
    "Longest time between two pictures."
    frames: int
    reconnects: int
    corrupt: int
    reader: str
    after_warm_up: Memory
    "After a tenth of the run."
    at_end: Memory


def run_hostile_camera(seconds: float, seed: int, report: Callable[[SourceStatus], None]) -> HostileReport:
    """Read a hostile camera for so many seconds. `report` gets every change of state. Linux only."""
    pictures = encode_pictures(10 * GOP, SIZE, GOP)
    arrivals = _Arrivals()
    policy = SourcePolicy(allowed_hosts=("127.0.0.0/8",))
    with HostileCamera(pictures, Manners(gop=GOP, faults=HOSTILE), seed) as camera:
        source = RtspSource(StreamId("hostile"), lambda: check_source_url(camera.url, policy), SourceLimits())
        source.start(arrivals.deliver, report)
        try:
            while not source.status.frames:
                time.sleep(SAMPLE_S)
            start_s, samples, live = time.monotonic(), 0, 0
            warm: Memory | None = None
            while (elapsed_s := time.monotonic() - start_s) < seconds:
                if warm is None and elapsed_s >= seconds / 10:
                    warm = memory()
                samples += 1
                live += source.status.state is SourceState.LIVE
                time.sleep(SAMPLE_S)
            at_end, status = memory(), source.status
        finally:
            source.stop()
    return HostileReport(
        seconds, live / max(samples, 1), arrivals.longest_gap_s, status.frames, status.reconnects,
        status.corrupt, status.reader, warm or at_end, at_end,
    )  # fmt: skip


class _Arrivals:
    """Notes the longest time between two frames."""

    def __init__(self) -> None:
        self.longest_gap_s = 0.0
        self._last_s: float | None = None

    def deliver(self, frame: Frame) -> None:
        del frame
        now_s = time.monotonic()
        if self._last_s is not None:
            self.longest_gap_s = max(self.longest_gap_s, now_s - self._last_s)
        self._last_s = now_s


def memory() -> Memory:
    """Return the resident memory and the open file descriptors of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Memory(pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path("/proc/self/fd").iterdir())))
