"""Parses the video track of a session description (SDP, RFC 8866; RFC 6184 §8.1, RFC 7798 §7.1). Pure.

The text is untrusted: unknown parts are skipped, and nothing here raises.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from streaming.rtsp.depacketizer import START_CODE

_PARAMETER_SETS = {
    "H264": ("sprop-parameter-sets",),
    "H265": ("sprop-vps", "sprop-sps", "sprop-pps"),
}
"By encoding: the format parameters that hold parameter sets, in the order that a decoder needs."

_RTPMAP = re.compile(r"rtpmap:(\d{1,3})\s+([^\s/]+)(?:/(\d{1,9}))?")
_USUAL_CLOCK_RATE = "90000"
_MAX_PAYLOAD_TYPE = 127


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """The video track of a session."""

    encoding: str = ""
    "Encoding name in capitals: `H264`, `H265`, `JPEG`; empty for static payload types."
    payload_type: int = 0
    clock_rate: int = 0
    "Ticks of RTP timestamps per second; 0: not given."
    control: str = ""
    "Absolute or relative URL for SETUP; empty: the session's own."
    parameters: Mapping[str, str] = field(default_factory=dict)
    "Format parameters (`a=fmtp`), names in lower case."
    is_encrypted: bool = False
    "SRTP (profiles `RTP/SAVP` and `RTP/SAVPF`)."

    @property
    def is_depacketizable(self) -> bool:
        """Whether it is H.264 or H.265 with NAL units in decoding order, as `depacketizer` reads them."""
        interleaved = self.parameters.get("packetization-mode") == "2"
        numbered = self.parameters.get("sprop-max-don-diff", "0") != "0"
        return self.encoding in _PARAMETER_SETS and self.clock_rate > 0 and not interleaved and not numbered

    @property
    def parameter_sets(self) -> bytes:
        """Parameter sets of the description in Annex B; those that cannot be decoded are left out."""
        names = _PARAMETER_SETS.get(self.encoding, ())
        texts = [text for name in names for text in self.parameters.get(name, "").split(",")]
        return b"".join(START_CODE + unit for unit in map(_decoded, texts) if unit)


def video_track(sdp: str) -> VideoTrack | None:
    """Return the first video track of a session description that is H.264 or H.265, else the first; None if
    it has none."""
    sections = re.split(r"^m=", sdp, flags=re.MULTILINE)[1:]
    tracks = [_track(section.splitlines()) for section in sections if section.startswith("video ")]
    return next((track for track in tracks if track.is_depacketizable), tracks[0] if tracks else None)


def session_control(sdp: str) -> str:
    """Return the aggregate control URL of the session; empty if none is given."""
    session = re.split(r"^m=", sdp, maxsplit=1, flags=re.MULTILINE)[0]
    return _attribute(session.splitlines(), "control:")


def _track(lines: list[str]) -> VideoTrack:
    control = _attribute(lines, "control:")
    words = lines[0].split()
    is_encrypted = "/SAVP" in lines[0]
    payload_types = [_number(word) for word in words[3:]] or [0]
    maps = [match for line in lines if (match := _RTPMAP.match(line.removeprefix("a=")))]
    for payload_type in payload_types:
        for match in maps:
            if int(match[1]) == payload_type:
                parameters = _parameters(_attribute(lines, f"fmtp:{payload_type} "))
                rate = int(match[3] or _USUAL_CLOCK_RATE)
                return VideoTrack(match[2].upper(), payload_type, rate, control, parameters, is_encrypted)
    return VideoTrack(payload_type=payload_types[0], control=control, is_encrypted=is_encrypted)


def _attribute(lines: list[str], name: str) -> str:
    found = (line[2 + len(name) :].strip() for line in lines if line.startswith(f"a={name}"))
    return next(found, "")


def _number(word: str) -> int:
    return min(int(word), _MAX_PAYLOAD_TYPE) if re.fullmatch(r"[0-9]{1,3}", word) else 0


def _parameters(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _decoded(text: str) -> bytes:
    # Cameras leave the padding out, or include the start code.
    try:
        return base64.b64decode(text + "==").removeprefix(START_CODE).removeprefix(START_CODE[1:])
    except (binascii.Error, ValueError):
        return b""
