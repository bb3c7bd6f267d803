"""H.264 in offers and answers (RFC 6184 §8.2.2).

aiortc (1.16) answers baseline profiles in packetization mode 1 only. Its decoder takes every profile and its
depacketiser mode 0, so `with_uniform_h264` gives every H.264 format of an offer the parameters that it knows,
and `with_offered_h264` puts those of the offer in the answer, which must have the same profile.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

RECEIVED_MODES = frozenset("01")
SENT_MODES = frozenset("1")
"""Packetization modes: aiortc's packetiser aggregates and fragments, which mode 0 has not."""

_FORMAT = re.compile(r"a=rtpmap:(\d+) H264/90000", re.IGNORECASE)
_FMTP = re.compile(r"a=fmtp:(\d+) ([^\r\n]*)")
_UNIFORM = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"


def with_uniform_h264(sdp: str, modes: Collection[str]) -> tuple[str, dict[str, str]]:
    """Return an offer whose H.264 formats of these packetization modes have the parameters that aiortc
    knows, and what they had, by payload type; empty where the offer has none. Lines end in CR LF."""
    fmtp = dict(_FMTP.findall(sdp))
    offered = {number: fmtp.get(number, "") for number in _FORMAT.findall(sdp)}
    for number, parameters in list(offered.items()):
        if (re.findall(r"packetization-mode=(\d)", parameters) or ["0"])[0] in modes:
            sdp = sdp.replace(f"a=fmtp:{number} {parameters}\r\n", "")
            sdp = re.sub(rf"(a=rtpmap:{number} \S+)", rf"\1\r\na=fmtp:{number} {_UNIFORM}", sdp)
        else:
            del offered[number]
    return sdp, offered


def with_offered_h264(sdp: str, offered: Mapping[str, str]) -> str:
    """Return an answer with the format parameters of the offer."""
    for number, parameters in offered.items():
        line = f"a=fmtp:{number} {parameters}\r\n" if parameters else ""
        sdp = re.sub(rf"a=fmtp:{number} .*\r\n", lambda _, line=line: line, sdp)  # type: ignore[misc]
    return sdp
