"""RTSP and RTSPS cameras: TCP, low latency, time-outs that interrupt, reconnects for ever.

Every attempt resolves and judges the address anew (`url_guard`), then connects to that very address. RTP
runs interleaved over the one TCP connection, so neither SDP `c=` lines nor ports lead elsewhere.

H.264 and H.265, as nearly every camera sends them, we read ourselves (`rtsp_session`, `rtp`): FFmpeg's
parsers hold a picture back until the next one begins, one frame period. Whatever else the server describes
(MJPEG, MPEG-4, the interleaved modes of H.26x) FFmpeg reads, over a connection of its own. One hole is known
there: it follows an RTSP redirect (3xx) and has no option against it, so a hostile server that may be
reached, that describes such a codec and redirects the second time, can make us connect to one that may not.

`captured_s` is the arrival of the picture's last packet. Sender reports would give the camera's own clock,
but only a camera with NTP means it: go2rtc 1.9.14 was measured 137 ms ahead of the truth.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from fractions import Fraction

import av
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from streaming.errors import SourceInvalid
from streaming.rtsp.depacketizer import H264, H265, AccessUnit, AccessUnits
from streaming.rtsp.sdp import VideoTrack, video_track
from streaming.rtsp.session import RtspSession
from streaming.sources.decoder import DecodedFrame, FrameDecoder
from streaming.sources.ffmpeg import POLL_S, FFmpegReader, OpenOptions
from streaming.sources.live import LiveSource, Reader, SourceTimeouts
from streaming.url_guard import ParsedSource
from streaming.vocabulary import StreamId

FORMATS = {"H264": ("h264", H264), "H265": ("hevc", H265)}
"By encoding: FFmpeg's decoder and how it lies in RTP."

MAX_PIXELS = 8_192 * 8_192
"""Of a picture: beyond 8K a stranger's stream would ask for gigabytes."""

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

    def __init__(self, stream_id: StreamId, locate: Callable[[], ParsedSource], timeouts: SourceTimeouts) -> None:
        super().__init__(stream_id, lambda: open_rtsp(locate(), timeouts), timeouts)


def open_rtsp(source: ParsedSource, timeouts: SourceTimeouts) -> Reader:
    """A reader of the source's first video. Raises SourceError as `RtspSession` does."""
    with ExitStack() as stack:
        session = stack.enter_context(closing(RtspSession(source, timeouts.first_frame_s)))
        track = video_track(session.describe())
        if track is None:
            raise SourceInvalid(f"{source.shown} has no video in it.", remedy="Check the URL.")
        if track.is_depacketizable:
            session.play(track.control)
            reader = PacketReader(session, track)
            stack.pop_all()
            return reader
    return FFmpegReader(
        OpenOptions(
            source.location,
            source.shown,
            format="rtsp",
            options=LOW_LATENCY,
            open_timeout_s=timeouts.first_frame_s,
            parsed=frozenset({"h264", "hevc"}),
        )
    )


class PacketReader:
    """A session that plays H.264 or H.265. One thread reads it."""

    def __init__(self, session: RtspSession, track: VideoTrack) -> None:
        name, payload_format = FORMATS[track.encoding]
        self._session = session
        self._units = AccessUnits(payload_format, track.payload_type)
        self._time_base = Fraction(1, track.clock_rate)
        self._parameter_sets = track.parameter_sets
        self._decoder = FrameDecoder(_context(name))

    def close(self) -> None:
        """Hang up. May be called twice."""
        self._session.close()

    @property
    def corrupt(self) -> int:
        """Access units so far that were damaged or could not be decoded."""
        return self._decoder.corrupt

    def frames(self) -> Iterator[DecodedFrame | None]:
        """Every picture, with its last packet; None after each reading, at least every `POLL_S`.

        Raises SourceError when the connection is lost.
        """
        while True:
            packets = self._session.receive(POLL_S)
            arrived_s = time.time()
            for packet in packets:
                for unit in self._units.push(packet, arrived_s):
                    yield from self._decoder.decode(self._packet(unit), unit.arrived_s)
            yield None

    def _packet(self, unit: AccessUnit) -> Packet[Stream]:
        # The description's parameter sets go first; those in the stream, where there are any, overrule them.
        packet = av.Packet(self._parameter_sets + unit.data)
        self._parameter_sets = b""
        packet.pts, packet.time_base = unit.timestamp, self._time_base
        packet.is_corrupt = unit.damaged
        return packet


def _context(name: str) -> VideoCodecContext:
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, VideoCodecContext), "FORMATS names video decoders"
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return context
