"""The source of an RTSP or RTSPS URL: TCP, low latency, interruptible timeouts, endless reconnects.

Every attempt resolves and checks the address again (`url_guard`), then connects to that address. RTP runs
interleaved over the same TCP connection, so neither SDP `c=` lines nor ports lead elsewhere.

H.264 and H.265, which nearly every camera sends, are read by `session` and `depacketizer`: FFmpeg's parsers
hold a frame back until the next begins, one frame period. Other codecs (MJPEG, MPEG-4, the interleaved modes
of H.26x) are read by FFmpeg over a connection of its own. Known weakness there: FFmpeg follows RTSP redirects
(3xx) and has no option against it, so a permitted but hostile server can describe such a codec, redirect the
second connection, and make us connect to an address that is not permitted.

`captured_s` is the arrival of the frame's last packet. RTCP sender reports would give the camera's clock, but
only a camera with NTP sets it: go2rtc 1.9.14 was measured 137 ms ahead.
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
from streaming.rtsp.depacketizer import H264, H265, AccessUnit, Depacketizer
from streaming.rtsp.sdp import VideoTrack, video_track
from streaming.rtsp.session import RtspSession
from streaming.sources.decoder import DecodedFrame, FrameDecoder
from streaming.sources.ffmpeg import POLL_S, FFmpegReader, OpenOptions
from streaming.sources.live import LiveSource, Reader, SourceTimeouts
from streaming.url_guard import ParsedSource
from streaming.vocabulary import StreamId

FORMATS = {"H264": ("h264", H264), "H265": ("hevc", H265)}
"By encoding: name of FFmpeg's decoder, and the RTP payload format."

MAX_PIXELS = 8_192 * 8_192
"""Largest decoded image: beyond 8K an untrusted stream could allocate gigabytes."""

LOW_LATENCY = {
    "rtsp_transport": "tcp",
    # Return packets as they arrive instead of buffering them while the stream is analysed.
    "fflags": "nobuffer",
    # The SDP names the codec, so FFmpeg need not analyse the stream for five seconds. Measured on loopback:
    # the first frame after 0.4-0.6 s (most of it waiting for an IDR) against 1.5 s.
    "analyzeduration": "100000",
    "probesize": "65536",
}


class RtspSource(LiveSource):
    """A camera at an RTSP URL. `locate` is called before every attempt and returns the checked, resolved
    URL."""

    def __init__(
        self, stream_id: StreamId, locate: Callable[[], ParsedSource], timeouts: SourceTimeouts
    ) -> None:
        super().__init__(stream_id, lambda: open_rtsp(locate(), timeouts), timeouts)


def open_rtsp(source: ParsedSource, timeouts: SourceTimeouts) -> Reader:
    """Open a reader of the source's first video track. Raises SourceError as `RtspSession` does."""
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
    """Reads and decodes H.264 or H.265 from a playing session. One thread uses it."""

    def __init__(self, session: RtspSession, track: VideoTrack) -> None:
        name, payload_format = FORMATS[track.encoding]
        self._session = session
        self._depacketizer = Depacketizer(payload_format, track.payload_type)
        self._time_base = Fraction(1, track.clock_rate)
        self._parameter_sets = track.parameter_sets
        self._decoder = FrameDecoder(_context(name))

    def close(self) -> None:
        """Close the session. May be called twice."""
        self._session.close()

    @property
    def corrupt(self) -> int:
        """Access units so far that were damaged or could not be decoded."""
        return self._decoder.corrupt

    def frames(self) -> Iterator[DecodedFrame | None]:
        """Yield every frame when its last packet arrives; None after each read, at least every `POLL_S`.

        Raises SourceError when the connection is lost.
        """
        while True:
            packets = self._session.receive(POLL_S)
            arrived_s = time.time()
            for packet in packets:
                for unit in self._depacketizer.push(packet, arrived_s):
                    yield from self._decoder.decode(self._packet(unit), unit.arrived_s)
            yield None

    def _packet(self, unit: AccessUnit) -> Packet[Stream]:
        # Parameter sets of the description come first; those in the stream, if any, replace them.
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
