"""A jitter buffer that lets a picture go when it is complete.

aiortc's own waits for the first packet of the next picture to know that one has ended (1.16,
`jitterbuffer.py`): a frame period of latency for every picture, and for ever for the last one of a
stream that stands still. The marker bit of RTP says the same at once (VP8: RFC 7741 §4.1, H.264: RFC
6184 §5.1).
"""

from __future__ import annotations

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame

CAPACITY = 512
"""Packets kept for reordering, as aiortc has it for video."""


class MarkedJitterBuffer(JitterBuffer):
    """Hands over a picture with its marked packet; one without a mark when the next begins."""

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
            # Filled in by the receiver before it adds the packet; aiortc does not declare it either.
            data.append(vars(packet)["_data"])
            if packet.marker:
                self.remove(len(data))
                return JitterFrame(data=b"".join(data), timestamp=timestamp)
        return super()._remove_frame(sequence_number)


def use_markers(receiver: RTCRtpReceiver) -> None:
    """Give a receiver that has not begun yet this buffer in place of its own, which has no public name."""
    assert "_RTCRtpReceiver__jitter_buffer" in vars(receiver), "aiortc has changed"
    vars(receiver)["_RTCRtpReceiver__jitter_buffer"] = MarkedJitterBuffer(CAPACITY, is_video=True)
