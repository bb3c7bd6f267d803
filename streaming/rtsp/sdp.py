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

_RTPMAP = re.compile(r"rtpmap:(\d{1,3}) +([^ /]+)/(\d{1,9})")
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
    """Return the first video track of a session description; None if it has none."""
    sections = re.split(r"^m=", sdp, flags=re.MULTILINE)[1:]
    video = next((section for section in sections if section.startswith("video ")), None)
    return None if video is None else _track(video.splitlines())


def session_control(sdp: str) -> str:
    """Return the aggregate control URL of the session; empty if none is given."""
    session = re.split(r"^m=", sdp, maxsplit=1, flags=re.MULTILINE)[0]
    return _attribute(session.splitlines(), "control:")


def _track(lines: list[str]) -> VideoTrack:
    control = _attribute(lines, "control:")
    payload_type = _number(lines[0].split()[3:4])
    for line in lines:
        match = _RTPMAP.match(line.removeprefix("a="))
        if match and int(match[1]) == payload_type:
            parameters = _parameters(_attribute(lines, f"fmtp:{payload_type} "))
            return VideoTrack(match[2].upper(), payload_type, int(match[3]), control, parameters)
    return VideoTrack(payload_type=payload_type, control=control)


def _attribute(lines: list[str], name: str) -> str:
    found = (line[2 + len(name) :].strip() for line in lines if line.startswith(f"a={name}"))
    return next(found, "")


def _number(words: list[str]) -> int:
    number = int(words[0]) if words and re.fullmatch(r"[0-9]{1,3}", words[0]) else 0
    return min(number, _MAX_PAYLOAD_TYPE)


def _parameters(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return b""
