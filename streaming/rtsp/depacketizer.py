"""Assembles RTP packets of H.264 and H.265 into access units (encoded images). Pure.

Theory of operation. The packets of an access unit share a timestamp, and the marker bit is set on the last
(RFC 6184 §5.1, RFC 7798 §4.1). A unit is therefore released with its last packet and not with the first
packet of the next, a frame period later. Senders deviate: a unit without a slice (parameter sets with a
marker bit) waits for its slices; a unit without a marker ends where the timestamp changes; and when slices
follow a marker under the same timestamp, the stream's markers are ignored from then on.

Interleaved packets come over TCP, in order, so a gap in the sequence numbers means that the server dropped
packets. The incomplete NAL unit is discarded, the complete NAL units are kept, and the access unit is flagged
as damaged. It is decoded all the same: cameras send an IDR as rarely as every ten seconds, and decoders
conceal errors far sooner, as in FFmpeg's own RTSP reader. Some servers number their packets wrongly; since
TCP neither repeats nor reorders, numbers that go back, jump far or never fit are no gaps and are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aiortc.codecs.h264 import NAL_TYPE_FU_A, H264PayloadDescriptor
from aiortc.rtp import RtpPacket

START_CODE = b"\0\0\0\1"

MAX_UNIT_BYTES = 16 * 2**20
"""Most bytes of an access unit: the memory that a server can make us use. IDRs of cameras are far smaller."""

MAX_GAP = 1_000
"""More packets than this are not lost at once: the server has begun to count anew, or counts wrongly."""
MAX_MISNUMBERED = 8
"""Packets in a row whose numbers do not fit, after which the numbers are taken for wrong."""

LEAST_PAYLOAD_BYTES = 2
"""Shorter payloads are padding, or H.264's one-byte end-of-sequence and end-of-stream NAL units."""

H265_AGGREGATION, H265_FRAGMENT = 48, 49
"""NAL unit types of RFC 7798 §4.4.2 and §4.4.3."""


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One encoded image."""

    data: bytes
    "NAL units with start codes (Annex B)."
    timestamp: int
    "RTP timestamp in ticks of the track's clock, unwrapped beyond 32 bits; starts anywhere."
    arrived_s: float
    "Arrival of its last packet, on the monotonic clock."
    damaged: bool
    "Packets were lost or unreadable, within it or since the access unit before."
    is_key: bool = False
    "It begins with an IDR picture (H.265: an IRAP picture) or has parameter sets: decoding can start here."


@dataclass(frozen=True, slots=True)
class Payload:
    """NAL units, or a fragment of a NAL unit, from one RTP packet."""

    data: bytes
    "In Annex B: a start code before each NAL unit that begins here."
    begins: bool
    "It begins with the start of a NAL unit."
    ends: bool
    "It ends with the end of a NAL unit."


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    """RTP payload format of a codec."""

    parse: Callable[[bytes], Payload]
    "Parses a payload of at least `LEAST_PAYLOAD_BYTES`; raises ValueError."
    is_slice: Callable[[int], bool]
    "Whether a NAL unit with this first byte is a coded slice."
    is_key: Callable[[int], bool]
    "Whether decoding can start at an access unit with such a NAL unit."


def parse_h264(payload: bytes) -> Payload:
    """Parse a payload of RFC 6184: single NAL unit, STAP-A or FU-A. Raises ValueError."""
    descriptor, data = H264PayloadDescriptor.parse(payload)
    fragment = payload[0] & 0x1F == NAL_TYPE_FU_A
    return Payload(data, descriptor.first_fragment, not fragment or bool(payload[1] & 0x40))


def parse_h265(payload: bytes) -> Payload:
    """Parse a payload of RFC 7798: single NAL unit, AP or FU, without DONL. Raises ValueError."""
    nal_type = payload[0] >> 1 & 0x3F
    if nal_type < H265_AGGREGATION:
        return Payload(START_CODE + payload, begins=True, ends=True)
    if nal_type == H265_AGGREGATION:
        return Payload(b"".join(_aggregated(payload)), begins=True, ends=True)
    if nal_type != H265_FRAGMENT or len(payload) < 3:
        raise ValueError(f"H.265 payload of type {nal_type} and {len(payload)} bytes")
    first, last = bool(payload[2] & 0x80), bool(payload[2] & 0x40)
    header = START_CODE + bytes([payload[0] & 0x81 | (payload[2] & 0x3F) << 1, payload[1]]) if first else b""
    return Payload(header + payload[3:], first, last)


def _aggregated(payload: bytes) -> Iterator[bytes]:
    position = 2
    while position < len(payload):
        start = position + 2
        position = start + int.from_bytes(payload[position:start], "big")
        if position > len(payload):
            raise ValueError("H.265 aggregation packet is truncated")
        yield START_CODE + payload[start:position]


H264 = PayloadFormat(parse_h264, lambda first: 1 <= first & 0x1F <= 5, lambda first: first & 0x1F in (5, 7))
H265 = PayloadFormat(
    parse_h265, lambda first: first >> 1 & 0x3F < 32, lambda first: 16 <= first >> 1 & 0x3F <= 21
)


class Depacketizer:
    """Assembles the packets of one payload type into access units."""

    def __init__(self, payload_format: PayloadFormat, payload_type: int) -> None:
        self._format = payload_format
        self._payload_type = payload_type
        self._next_sequence_number: int | None = None
        self._timestamp: int | None = None
        self._released: int | None = None
        self._trusts_markers = True
        self._arrived_s = 0.0
        self._unit = bytearray()
        self._fragment: bytearray | None = None
        self._has_slice = False
        self._is_key = False
        self._damaged = False
        self._misnumbered = 0

    def push(self, data: bytes, arrived_s: float) -> list[AccessUnit]:
        """Take a packet that arrived at `arrived_s`; return the 0 to 2 access units it completes.

        Never raises: a packet that cannot be parsed marks its access unit as damaged.
        """
        try:
            packet = RtpPacket.parse(data)
        except ValueError:
            self._discard_fragment()
            return []
        if self._is_after_a_gap(packet.sequence_number):
            self._discard_fragment()
        self._next_sequence_number = packet.sequence_number + 1 & 0xFFFF
        if packet.payload_type != self._payload_type or len(packet.payload) < LEAST_PAYLOAD_BYTES:
            return []
        complete = self._begin(self._unwrapped(packet.timestamp))
        self._arrived_s = arrived_s
        self._add(packet.payload)
        if packet.marker and self._trusts_markers and self._has_slice:
            complete.append(self._release())
        return complete

    def _is_after_a_gap(self, number: int) -> bool:
        if self._next_sequence_number in (None, number):
            self._misnumbered = 0
            return False
        self._misnumbered += 1
        missing = number - (self._next_sequence_number or 0) & 0xFFFF
        return missing <= MAX_GAP and self._misnumbered < MAX_MISNUMBERED

    def _unwrapped(self, timestamp: int) -> int:
        if self._timestamp is None:
            return timestamp
        step = timestamp - self._timestamp & 0xFFFFFFFF
        return self._timestamp + (step - 2**32 if step >= 2**31 else step)

    def _begin(self, timestamp: int) -> list[AccessUnit]:
        """Set the timestamp of the packets from here on; release the access unit before it, if any."""
        ended = timestamp != self._timestamp and self._has_slice
        complete = [self._release()] if ended else []
        self._timestamp = timestamp
        return complete

    def _add(self, payload: bytes) -> None:
        try:
            part = self._format.parse(payload)
        except ValueError:
            self._discard_fragment()
            return
        if part.begins and self._fragment is not None:
            self._discard_fragment()
        if part.begins:
            self._fragment = bytearray()
        if self._fragment is None:
            self._damaged = True
            return
        self._fragment += part.data
        if len(self._unit) + len(self._fragment) > MAX_UNIT_BYTES:
            self._discard_fragment()
            self._unit.clear()
            self._has_slice = False
        elif part.ends:
            self._append(self._fragment)
            self._fragment = None

    def _append(self, nal_units: bytearray) -> None:
        # A NAL unit contains no start code: emulation prevention (H.264 and H.265 §7.4.1).
        firsts = [unit[0] for unit in nal_units.split(START_CODE)[1:] if unit]
        self._is_key |= any(map(self._format.is_key, firsts))
        if any(map(self._format.is_slice, firsts)):
            self._has_slice = True
            if self._released == self._timestamp:
                self._trusts_markers = False
        self._unit += nal_units

    def _discard_fragment(self) -> None:
        """Drop the NAL unit that is incomplete after a loss."""
        self._damaged = True
        self._fragment = None

    def _release(self) -> AccessUnit:
        if self._fragment is not None:
            self._discard_fragment()
        assert self._timestamp is not None, "a unit has packets"
        unit = AccessUnit(bytes(self._unit), self._timestamp, self._arrived_s, self._damaged, self._is_key)
        self._released = self._timestamp
        self._unit.clear()
        self._has_slice = self._damaged = self._is_key = False
        return unit
