"""RTP packets of H.264 and H.265 in, whole access units (encoded pictures) out. Pure.

Theory of operation. The packets of one picture share a timestamp, and the marker bit says which of them is
the last (RFC 6184 §5.1, RFC 7798 §4.1), so a picture is let go with its last packet and not with the first
packet of the next one, a frame period later. What senders make of that is not always the rule: a unit
without any slice (parameter sets that are marked alone) waits for its picture; one without a mark ends where
the timestamp changes; and where slices follow a mark under the same timestamp, marks are believed no longer.

Interleaved packets come over TCP, in order, so a gap in their numbers is a loss: of a server that had to
drop. The NAL unit that it tears is dropped, the whole ones of its picture are kept, and the access unit says
that it is damaged. Nothing waits for the next key frame: cameras send those as rarely as every ten seconds,
and decoders conceal a hole in a far shorter time, as FFmpeg's own reader lets them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aiortc.codecs.h264 import NAL_TYPE_FU_A, H264PayloadDescriptor
from aiortc.rtp import RtpPacket

START_CODE = b"\0\0\0\1"

MAX_UNIT_BYTES = 16 * 2**20
"""Of one encoded picture. No camera's key frame comes near it; it bounds what a server can make us keep."""

LEAST_PAYLOAD_BYTES = 2
"""Shorter ones are padding, or the one-byte H.264 marks that a sequence or a stream has ended."""

H265_AGGREGATION, H265_FRAGMENT = 48, 49
"""NAL unit types of RFC 7798 §4.4.2 and §4.4.3."""


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One encoded picture."""

    data: bytes
    "NAL units with start codes (Annex B)."
    timestamp: int
    "Of RTP, in ticks of its clock, grown over its 32 bits; starts anywhere."
    arrived_s: float
    "Unix time at which its last packet came."
    damaged: bool
    "Packets were lost or unreadable, within it or since the one before."


@dataclass(frozen=True, slots=True)
class Payload:
    """What one packet carries."""

    data: bytes
    "Whole NAL units or a fragment of one; each that begins here after a start code."
    begins: bool
    ends: bool
    "Both, unless it is a fragment."


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    """How a codec lies in RTP."""

    part: Callable[[bytes], Payload]
    "Reads one payload of `LEAST_PAYLOAD_BYTES` and more; raises ValueError."
    is_slice: Callable[[int], bool]
    "Whether a NAL unit with this first byte holds a piece of picture."


def parse_h264(payload: bytes) -> Payload:
    """A payload of RFC 6184: single NAL unit, STAP-A or FU-A. Raises ValueError."""
    descriptor, data = H264PayloadDescriptor.parse(payload)
    fragment = payload[0] & 0x1F == NAL_TYPE_FU_A
    return Payload(data, descriptor.first_fragment, not fragment or bool(payload[1] & 0x40))


def parse_h265(payload: bytes) -> Payload:
    """A payload of RFC 7798: single NAL unit, AP or FU, without decoding order numbers. Raises ValueError."""
    kind = payload[0] >> 1 & 0x3F
    if kind < H265_AGGREGATION:
        return Payload(START_CODE + payload, begins=True, ends=True)
    if kind == H265_AGGREGATION:
        return Payload(b"".join(_aggregated(payload)), begins=True, ends=True)
    if kind != H265_FRAGMENT or len(payload) < 3:
        raise ValueError(f"H.265 payload of type {kind} and {len(payload)} bytes")
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


H264 = PayloadFormat(parse_h264, lambda first: 1 <= first & 0x1F <= 5)
H265 = PayloadFormat(parse_h265, lambda first: first >> 1 & 0x3F < 32)


class AccessUnits:
    """Puts the packets of one payload type together."""

    def __init__(self, payload_format: PayloadFormat, payload_type: int) -> None:
        self._format = payload_format
        self._payload_type = payload_type
        self._next_number: int | None = None
        self._timestamp: int | None = None
        self._released: int | None = None
        self._marks_end_units = True
        self._arrived_s = 0.0
        self._whole = bytearray()
        self._fragment: bytearray | None = None
        self._has_slice = False
        self._damaged = False

    def push(self, data: bytes, arrived_s: float) -> list[AccessUnit]:
        """Take in a packet that came at `arrived_s`, Unix time; the access units that it completes, 0 to 2.

        Never raises: what cannot be read damages the unit it came in.
        """
        try:
            packet = RtpPacket.parse(data)
        except ValueError:
            self._tear()
            return []
        if self._next_number not in (None, packet.sequence_number):
            self._tear()
        self._next_number = packet.sequence_number + 1 & 0xFFFF
        if packet.payload_type != self._payload_type or len(packet.payload) < LEAST_PAYLOAD_BYTES:
            return []
        complete = self._turn_to(self._unwrapped(packet.timestamp))
        self._arrived_s = arrived_s
        self._take(packet.payload)
        if packet.marker and self._marks_end_units and self._has_slice:
            complete.append(self._release())
        return complete

    def _unwrapped(self, timestamp: int) -> int:
        if self._timestamp is None:
            return timestamp
        step = timestamp - self._timestamp & 0xFFFFFFFF
        return self._timestamp + (step - 2**32 if step >= 2**31 else step)

    def _turn_to(self, timestamp: int) -> list[AccessUnit]:
        """The packets from here on are of `timestamp`; the unit before it, if it was still open."""
        ended = timestamp != self._timestamp and self._has_slice
        complete = [self._release()] if ended else []
        self._timestamp = timestamp
        return complete

    def _take(self, payload: bytes) -> None:
        try:
            part = self._format.part(payload)
        except ValueError:
            self._tear()
            return
        if part.begins and self._fragment is not None:
            self._tear()
        if part.begins:
            self._fragment = bytearray()
        if self._fragment is None:
            self._damaged = True
            return
        self._fragment += part.data
        if len(self._whole) + len(self._fragment) > MAX_UNIT_BYTES:
            self._tear()
            self._whole.clear()
            self._has_slice = False
        elif part.ends:
            self._keep(self._fragment)
            self._fragment = None

    def _keep(self, units: bytearray) -> None:
        # No NAL unit has a start code within: emulation prevention (H.264 and H.265 §7.4.1).
        is_slice = self._format.is_slice
        if any(unit and is_slice(unit[0]) for unit in units.split(START_CODE)[1:]):
            self._has_slice = True
            if self._released == self._timestamp:
                self._marks_end_units = False
        self._whole += units

    def _tear(self) -> None:
        """Something is missing here: the NAL unit that was being put together is lost."""
        self._damaged = True
        self._fragment = None

    def _release(self) -> AccessUnit:
        if self._fragment is not None:
            self._tear()
        assert self._timestamp is not None, "a unit has packets"
        unit = AccessUnit(bytes(self._whole), self._timestamp, self._arrived_s, self._damaged)
        self._released = self._timestamp
        self._whole.clear()
        self._has_slice = self._damaged = False
        return unit
