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
_FMTP = re.compile(r"a=fmtp:(\d+) (.*)")
_MODE = re.compile(r"packetization-mode=(\d)")
_UNIFORM = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"


def with_uniform_h264(sdp: str, modes: Collection[str]) -> tuple[str, dict[str, str]]:
    """Return an offer whose H.264 formats of these packetization modes have the parameters that aiortc
    knows, and what they had, by payload type; empty where the offer has none."""
    fmtp = dict(match.groups() for line in sdp.splitlines() if (match := _FMTP.match(line)))
    offered = {number: fmtp.get(number, "") for number in _FORMAT.findall(sdp)}
    offered = {number: text for number, text in offered.items() if _mode_of(text) in modes}
    lines: list[str] = []
    for line in sdp.splitlines():
        parameters, media_format = _FMTP.match(line), _FORMAT.match(line)
        if parameters and parameters[1] in offered:
            continue
        lines.append(line)
        if media_format and media_format[1] in offered:
            lines.append(f"a=fmtp:{media_format[1]} {_UNIFORM}")
    return "\r\n".join(lines) + "\r\n", offered


def with_offered_h264(sdp: str, offered: Mapping[str, str]) -> str:
    """Return an answer with the format parameters of the offer."""
    lines: list[str] = []
    for line in sdp.splitlines():
        parameters = _FMTP.match(line)
        if parameters and parameters[1] in offered:
            line = f"a=fmtp:{parameters[1]} {offered[parameters[1]]}"
            if not offered[parameters[1]]:
                continue
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"


def _mode_of(parameters: str) -> str:
    found = _MODE.search(parameters)
    return found[1] if found else "0"
