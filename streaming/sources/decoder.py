"""Decodes packets to RGB frames, one at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from streaming.vocabulary import Clock, Pixels

REORDERED = 32
"""Arrival times stored while a decoder reorders frames; H.264 and H.265 reorder at most 16."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """One decoded frame with its times."""

    pixels: Pixels
    raw_pts_s: float | None
    "Timestamp of the source, seconds; None if it has none."
    arrived_s: float
    "Arrival of its packet, or its capture by `clock`, Unix time."
    decode_s: float
    "Duration of decoding and of the conversion to RGB, seconds."
    clock: Clock = Clock.ARRIVAL


class FrameDecoder:
    """Decodes the packets of one source. The codec context must not be open yet."""

    def __init__(self, context: VideoCodecContext) -> None:
        self.corrupt = 0
        "Packets so far that were damaged or could not be decoded."
        # Slice threads: each frame thread would delay output by a frame.
        context.thread_count = 1
        context.thread_type = "SLICE"
        self._context = context
        self._arrived_s: dict[int, float] = {}

    def decode(self, packet: Packet[Any], arrived_s: float) -> list[DecodedFrame]:
        """Return the frames that are complete with a packet that arrived at `arrived_s`, Unix time. Never
        raises."""
        self._store_arrival(packet, arrived_s)
        started_s = time.perf_counter()
        frames: list[DecodedFrame] = []
        try:
            for av_frame in self._context.decode(packet):
                pixels: Pixels = np.ascontiguousarray(av_frame.to_ndarray(format="rgb24"), dtype=np.uint8)
                arrived = arrived_s if av_frame.pts is None else self._arrived_s.pop(av_frame.pts, arrived_s)
                decoded_s = time.perf_counter()
                frames.append(DecodedFrame(pixels, av_frame.time, arrived, decoded_s - started_s))
                started_s = decoded_s
        except (av.FFmpegError, ValueError):  # also a pixel format without a conversion to RGB
            self.corrupt += 1
        else:
            self.corrupt += packet.is_corrupt
        return frames

    def _store_arrival(self, packet: Packet[Any], arrived_s: float) -> None:
        # With B-frames a frame leaves the decoder some packets after its own packet.
        if packet.pts is not None:
            self._arrived_s[packet.pts] = arrived_s
        while len(self._arrived_s) > REORDERED:
            del self._arrived_s[next(iter(self._arrived_s))]
