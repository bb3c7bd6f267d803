"""Dates access units: by the camera's clock where that is sane, else by their arrival. Pure.

RTCP sender reports (RFC 3550 §6.4.1) pair an RTP timestamp with the camera's time at which they are sent.
Only a camera with NTP sets its clock (go2rtc 1.9.14 was measured 97 to 137 ms off), so it is used only if the
fastest of the last reports took at most MAX_REPORT_S by both clocks. Otherwise the access unit of the last
seconds that took the least time dates the others by the difference of RTP timestamps: one that waited, in a
buffer or for a slow decoder, is as old as it is.
"""

from __future__ import annotations

import struct
from collections import deque

from streaming.vocabulary import Clock

MAX_REPORT_S = 0.05
REPORTS = 10
"""Reports that are compared: about a minute, in which a clock drifts by milliseconds."""
MAX_AGE_S = 10.0
"""A greater age is a jump of timestamps: TCP's buffers hold a few seconds of video."""
WINDOW_S = 3.0
"""Cameras that stamp 25 images a second and send 20 at night seem to fall behind; this bounds it."""
NTP_EPOCH_S = 2_208_988_800
"""NTP counts from 1900, Unix from 1970."""


def is_rtcp(packet: bytes) -> bool:
    """Return whether a packet is RTCP, on whatever channel it came (RFC 5761 §4)."""
    return len(packet) > 1 and 192 <= packet[1] <= 223


class CaptureClock:
    """Dates the access units of one session."""

    def __init__(self, clock_rate: int) -> None:
        self._rate = clock_rate
        self._report = (0, 0.0)  # RTP timestamp, the camera's Unix time
        self._report_delays_s: deque[float] = deque(maxlen=REPORTS)
        self._min_offsets: deque[tuple[float, float]] = deque()  # arrival; arrival less RTP time, increasing

    def add_report(self, packet: bytes, arrived_s: float) -> None:
        """Take an RTCP packet that arrived at `arrived_s`, Unix time; anything but a sender report is
        skipped."""
        if len(packet) < 20 or packet[1] != 200:
            return
        seconds, fraction, timestamp = struct.unpack_from("!LLL", packet, 8)
        sent_s = seconds - NTP_EPOCH_S + fraction / 2**32
        self._report_delays_s.append(arrived_s - sent_s)
        self._report = timestamp, sent_s

    def date(self, timestamp: int, arrived_s: float) -> tuple[float, Clock]:
        """Return `captured_s` of an access unit, Unix time and never after its arrival, and its clock."""
        by_arrival_s = self._by_fastest(timestamp, arrived_s)
        if abs(min(self._report_delays_s, default=float("inf"))) <= MAX_REPORT_S:
            step = (timestamp - self._report[0] + 2**31 & 0xFFFFFFFF) - 2**31
            captured_s = self._report[1] + step / self._rate
            if -MAX_REPORT_S <= arrived_s - captured_s <= MAX_AGE_S:
                return min(captured_s, arrived_s), Clock.RTCP
        return by_arrival_s, Clock.ARRIVAL

    def _by_fastest(self, timestamp: int, arrived_s: float) -> float:
        offset_s, offsets = arrived_s - timestamp / self._rate, self._min_offsets
        while offsets and not 0.0 < offset_s - offsets[-1][1] < MAX_AGE_S:
            offsets.pop()
        offsets.append((arrived_s, offset_s))
        while arrived_s - offsets[0][0] > WINDOW_S:
            offsets.popleft()
        return offsets[0][1] + timestamp / self._rate
