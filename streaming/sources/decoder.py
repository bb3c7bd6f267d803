"""Encoded pictures in, RGB pictures out, one at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from streaming.vocabulary import Pixels

REORDERED = 32
"""Arrival times kept while a decoder holds pictures back; H.264 and H.265 reorder at most 16."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """One decoded picture with its dates."""

    pixels: Pixels
    raw_pts_s: float | None
    "The source's own timestamp, seconds; None where it gives none."
    arrived_s: float
    "Unix time at which the packet that holds it came."
    decode_s: float
    "Decoding and conversion to RGB, seconds."


class FrameDecoder:
    """Decodes what one source sends. The codec context must not have begun yet."""

    def __init__(self, context: VideoCodecContext) -> None:
        self.corrupt = 0
        "Packets so far that were damaged or could not be decoded."
        # One picture at a time: frame threads would each hold one back, which is latency.
        context.thread_count = 1
        context.thread_type = "SLICE"
        self._context = context
        self._arrived_s: dict[int, float] = {}

    def decode(self, packet: Packet[Any], arrived_s: float) -> list[DecodedFrame]:
        """The pictures that are ready with a packet that came at `arrived_s`, Unix time. Never raises."""
        self._remember(packet, arrived_s)
        started_s = time.perf_counter()
        pictures: list[DecodedFrame] = []
        try:
            for frame in self._context.decode(packet):
                pixels: Pixels = np.ascontiguousarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
                arrived = arrived_s if frame.pts is None else self._arrived_s.pop(frame.pts, arrived_s)
                decoded_s = time.perf_counter()
                pictures.append(DecodedFrame(pixels, frame.time, arrived, decoded_s - started_s))
                started_s = decoded_s
        except (av.FFmpegError, ValueError):  # also a picture in a format without a way to RGB
            self.corrupt += 1
        else:
            self.corrupt += packet.is_corrupt
        return pictures

    def _remember(self, packet: Packet[Any], arrived_s: float) -> None:
        # With B-frames a picture leaves the decoder some packets after its own came in.
        if packet.pts is not None:
            self._arrived_s[packet.pts] = arrived_s
        while len(self._arrived_s) > REORDERED:
            del self._arrived_s[next(iter(self._arrived_s))]
