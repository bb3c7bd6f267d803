"""RTSP and RTSPS cameras: TCP, low latency, time-outs that interrupt, reconnects for ever.

Every attempt resolves and judges the address anew (`url_guard`), then connects to that very address.
RTSP runs interleaved over the one TCP connection, so neither SDP `c=` lines nor RTP ports lead
elsewhere. One hole is known: FFmpeg follows an RTSP redirect (3xx) and has no option against it, so a
hostile server that may be reached can make us open a connection to one that may not.

`captured_s` is the arrival of the picture. Sender reports would give the camera's own clock (FFmpeg 8
attaches it to packets as `prft`), but only a camera with NTP means it: go2rtc 1.9.14 was measured 137
ms ahead of the truth. FFmpeg's H.264 and H.265 parsers hold every picture back until the next one
begins: one frame period of real latency, and part of the frame age, because `captured_s` is from before
it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from streaming.errors import SourceUnavailable
from streaming.sources.live import LiveSource, Patience
from streaming.sources.pictures import Opening, PictureReader
from streaming.url_guard import ParsedSource
from streaming.vocabulary import StreamId

PROBE_TIMEOUT_S = 1.0
"""One SYN and its first retransmission: a camera that comes back is noticed within this and the backoff's
second, not after FFmpeg's whole open time-out."""

LOW_LATENCY = {
    "rtsp_transport": "tcp",
    # Hand packets on as they come instead of collecting them while the stream is analysed.
    "fflags": "nobuffer",
    # The SDP already names the codec; FFmpeg's five seconds of looking are not needed. Measured on loopback:
    # the first picture after 0.4-0.6 s (most of it waiting for a key frame) against 1.5 s.
    "analyzeduration": "100000",
    "probesize": "65536",
}


class RtspSource(LiveSource):
    """A camera at an RTSP URL. `locate` gives the checked and pinned URL, anew for every attempt."""

    def __init__(self, stream_id: StreamId, locate: Callable[[], ParsedSource], patience: Patience) -> None:
        super().__init__(stream_id, lambda: _open(locate(), patience), patience)


def _open(source: ParsedSource, patience: Patience) -> PictureReader:
    _probe(source)
    return PictureReader(
        Opening(
            source.location,
            source.shown,
            format="rtsp",
            options=LOW_LATENCY,
            open_timeout_s=patience.first_picture_s,
            parsed=frozenset({"h264", "hevc"}),
        )
    )


def _probe(source: ParsedSource) -> None:
    """Is anybody there? Raises SourceUnavailable with the reason, and soon."""
    try:
        socket.create_connection((source.address, source.port), timeout=PROBE_TIMEOUT_S).close()
    except OSError as exc:
        reason = exc.strerror or "it does not answer"
        raise SourceUnavailable(
            f"{source.shown} cannot be reached: {reason}.",
            remedy="Check that it is on and the address right.",
        ) from exc
