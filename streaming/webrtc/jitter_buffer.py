"""How aiortc receives here: packets of one source only, in a jitter buffer that releases a frame with its RTP
marker bit (VP8: RFC 7741 §4.1, H.264: RFC 6184 §5.1).

aiortc's own (1.16, `jitterbuffer.py`) releases a frame with the first packet of the next frame: a frame
period of latency, and no release of the last frame of a stream that pauses.
"""

from __future__ import annotations

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

SILENCE_MS = 1_000
"""After so long without a packet of its source, a receiver takes another."""

CAPACITY = 512
"""Packets buffered for reordering, aiortc's own value for video."""


class MarkedJitterBuffer(JitterBuffer):
    """Releases a frame with its marked packet; a frame without a marker when the next begins."""

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        data: list[bytes] = []
        timestamp: int | None = None
        for count in range(self.capacity):
            packet = (
                self._packets[(self._origin + count) % self.capacity] if self._origin is not None else None
            )
            if packet is None or (timestamp is not None and packet.timestamp != timestamp):
                break
            timestamp = packet.timestamp
            # Set by the receiver before it adds the packet; aiortc does not declare it either.
            data.append(vars(packet)["_data"])
            if packet.marker:
                self.remove(len(data))
                return JitterFrame(data=b"".join(data), timestamp=timestamp)
        return super()._remove_frame(sequence_number)


def use_markers(receiver: RTCRtpReceiver) -> None:
    """Replace the jitter buffer of a receiver that has not started; its attribute is private in aiortc."""
    assert "_RTCRtpReceiver__jitter_buffer" in vars(receiver), "aiortc has changed"
    vars(receiver)["_RTCRtpReceiver__jitter_buffer"] = MarkedJitterBuffer(CAPACITY, is_video=True)


def keep_one_layer(receiver: RTCRtpReceiver) -> None:
    """Make a receiver drop the packets of all sources (SSRC) but one, until that is silent.

    A peer that sends simulcast although our answer has none would else mix its layers: aiortc takes every
    source with a known payload type. Retransmissions (RTX) pass; aiortc assigns them to their source.
    """
    receive, codecs = receiver._handle_rtp_packet, vars(receiver)["_RTCRtpReceiver__codecs"]
    ssrc, last_received_ms = -1, 0

    async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
        nonlocal ssrc, last_received_ms
        codec = codecs.get(packet.payload_type)
        if codec is not None and codec.name.lower() != "rtx":
            if ssrc < 0 or arrival_time_ms - last_received_ms > SILENCE_MS:
                ssrc = packet.ssrc
            if packet.ssrc != ssrc:
                return
            last_received_ms = arrival_time_ms
        await receive(packet, arrival_time_ms)

    vars(receiver)["_handle_rtp_packet"] = handle
