"""Decodes packets to RGB frames, one at a time: whole pictures, upright, with square pixels."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av import VideoFrame
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from streaming.sources.deinterlacing import Deinterlacer
from streaming.sources.orientation import IDENTITY, Turn, shown_width, turn_of, upright
from streaming.validation import DEFAULT_MAX_PIXELS
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
    """Decodes the packets of one source. The codec context must not be open yet.

    Pictures of more than `max_pixels` are refused before memory is allocated for them: they count as corrupt.
    pixel_aspect: width of a pixel through its height, from the file's header; None: as the stream says.
    """

    def __init__(
        self,
        context: VideoCodecContext,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        pixel_aspect: Fraction | None = None,
    ) -> None:
        self.corrupt = 0
        "Packets so far that were damaged or could not be decoded."
        # Slice threads: each frame thread would delay output by a frame.
        context.thread_count = 1
        context.thread_type = "SLICE"
        context.options = {**context.options, "max_pixels": str(max_pixels)}
        self._context = context
        self._pixel_aspect = pixel_aspect
        self._arrived_s: dict[int, float] = {}
        self._rotation: int | None = None
        self._turn = IDENTITY
        self._deinterlacer = Deinterlacer()
        self._held_arrived_s: deque[float] = deque(maxlen=2)
        "Of the frames in the deinterlacer: the one that it holds back, and the one that it was just given."

    def decode(self, packet: Packet[Any], arrived_s: float) -> list[DecodedFrame]:
        """Return the frames that are complete with a packet that arrived at `arrived_s`, Unix time. Never
        raises."""
        self._store_arrival(packet, arrived_s)
        started_s = time.perf_counter()
        frames: list[DecodedFrame] = []
        try:
            for av_frame, arrived in self._whole_frames(packet, arrived_s):
                pixels = upright(self._square_pixels(av_frame), self._turn_of(av_frame))
                decoded_s = time.perf_counter()
                frames.append(DecodedFrame(pixels, av_frame.time, arrived, decoded_s - started_s))
                started_s = decoded_s
        except (av.FFmpegError, ValueError):  # also a pixel format without a conversion to RGB
            self.corrupt += 1
        else:
            self.corrupt += packet.is_corrupt
        return frames

    def _whole_frames(self, packet: Packet[Any], arrived_s: float) -> Iterator[tuple[VideoFrame, float]]:
        """Decode a packet and yield the frames that are whole now, each with the arrival of its packet."""
        is_last = packet.size == 0
        for decoded in [*self._context.decode(packet), *([None] if is_last else [])]:
            if decoded is not None:
                pts = decoded.pts
                self._held_arrived_s.append(arrived_s if pts is None else self._arrived_s.pop(pts, arrived_s))
            for whole in self._deinterlacer.push(decoded):
                yield whole, self._held_arrived_s.popleft()

    def _square_pixels(self, frame: VideoFrame) -> Pixels:
        width = shown_width(frame.width, self._pixel_aspect or self._context.sample_aspect_ratio)
        pixels: Any = frame.to_ndarray(format="rgb24", width=width, height=frame.height)
        return np.asarray(pixels, np.uint8)

    def _turn_of(self, frame: VideoFrame) -> Turn:
        if frame.rotation != self._rotation:
            self._rotation, self._turn = frame.rotation, turn_of(frame)
        return self._turn

    def _store_arrival(self, packet: Packet[Any], arrived_s: float) -> None:
        # With B-frames a frame leaves the decoder some packets after its own packet.
        if packet.pts is not None:
            self._arrived_s[packet.pts] = arrived_s
        while len(self._arrived_s) > REORDERED:
            del self._arrived_s[next(iter(self._arrived_s))]
