"""The source of an RTSP or RTSPS URL: low latency, interruptible timeouts, endless reconnects, two readers.

Every attempt resolves and checks the address again (`url_guard`), then connects to that address and no other.

The native reader (`session`, `depacketizer`) reads H.264 and H.265, which nearly every camera sends: FFmpeg's
parsers hold a frame back until the next begins, one frame period. FFmpeg's, through `relay`, reads other
codecs and UDP, and takes over a camera that the native reader cannot follow.

A decoder may be slower than its camera. Packets are therefore read before the next image is decoded, and
images that have waited for `SKIP_S` are skipped up to the next key frame.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from fractions import Fraction
from typing import Literal

import av
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from streaming.backoff import HEALTHY_S
from streaming.errors import SaccadeError, SourceError, SourceForbidden, SourceInvalid, SourceUnreadable
from streaming.moment import Moment
from streaming.rtsp.capture_clock import CaptureClock, is_rtcp
from streaming.rtsp.depacketizer import H264, H265, AccessUnit, Depacketizer
from streaming.rtsp.relay import Relay
from streaming.rtsp.sdp import VideoTrack, video_track
from streaming.rtsp.session import RtspSession
from streaming.sources.decoder import DecodedFrame, FrameDecoder
from streaming.sources.ffmpeg import POLL_S, FFmpegReader, OpenOptions
from streaming.sources.live import LiveSource, Reader, SourceLimits
from streaming.url_guard import RELAY_IT, ParsedSource
from streaming.validation import DEFAULT_MAX_PIXELS
from streaming.vocabulary import StreamId

FORMATS = {"H264": ("h264", H264), "H265": ("hevc", H265)}
"By encoding: name of FFmpeg's decoder, and the RTP payload format."
PARSED = frozenset({"h264", "hevc"})
"Codecs whose packets FFmpeg returns when the next begins."

LOW_LATENCY = {
    "rtsp_flags": "prefer_tcp",
    "allowed_media_types": "video",
    # Return packets as they arrive instead of buffering them while the stream is analysed.
    "fflags": "nobuffer",
    # The SDP names the codec, so FFmpeg need not analyse the stream for five seconds. Measured on loopback:
    # the first frame after 0.4-0.6 s (most of it waiting for an IDR) against 1.5 s.
    "analyzeduration": "100000",
    "probesize": "65536",
}

MAX_FAILED_SESSIONS = 2
"""Sessions in a row that fail, though the camera answers, before the other reader has its turn."""
MAX_FAILED_SESSIONS_PROVEN = 10
"""The same for a reader that has read this camera before: cameras also hang up while they start."""
QUIET_S = 10.0
"""A server that answers keep-alives may send no packet for this long, plus the time of a stall."""
SKIP_S = 1.0
MAX_WAITING_BYTES = 64 * 2**20
"""Of access units that wait to be decoded; beyond, all up to the next key frame are skipped."""
READS_AT_ONCE = 64
"""Most reads of the socket between two images: 4 MiB."""


class RtspSource(LiveSource):
    """A camera at an RTSP URL. `locate` is called before every attempt and returns the checked, resolved
    URL."""

    def __init__(
        self,
        stream_id: StreamId,
        locate: Callable[[], ParsedSource],
        limits: SourceLimits,
        reader: Literal["auto", "native", "ffmpeg"] = "auto",
    ) -> None:
        super().__init__(stream_id, self._open, limits)
        self._locate = locate
        self._readers = deque(["native", "ffmpeg"] if reader == "auto" else [reader])
        self._fatal_methods: set[str] = set()
        self._failed = 0
        self._max_failed = dict.fromkeys(self._readers, MAX_FAILED_SESSIONS)
        self._was_reached = False  # by FFmpeg's reader, in the last session
        self._reasons: dict[str, str] = {}

    def _open(self) -> Reader:
        self._was_reached = False
        source = self._locate()
        if self._readers[0] == "ffmpeg":
            relay = Relay(source, self._limits.first_frame_s)
            self._was_reached = True
            return RelayedReader(relay, self._limits)
        return open_rtsp(source, self._limits, self._fatal_methods)

    def _session_failed(self, error: SaccadeError, healthy_s: float) -> SaccadeError:
        """Count a failure that is the reader's, and turn to the other reader after some."""
        reader = self._readers[0]
        if healthy_s >= HEALTHY_S:
            self._failed, self._max_failed[reader] = 0, MAX_FAILED_SESSIONS_PROVEN
            self._reasons.clear()
        # FFmpeg does not say whether a server that was reached went away or is not understood.
        is_readers = isinstance(error, SourceUnreadable) or (self._was_reached and not healthy_s)
        if not is_readers or isinstance(error, SourceForbidden) or len(self._readers) == 1:
            return error
        self._failed += 1
        self._reasons[reader] = error.message
        if self._failed >= self._max_failed[reader]:
            self._failed = 0
            self._readers.rotate()
            error = SourceUnreadable(error.message, remedy=f"The reader {self._readers[0]} is tried next.")
        if len(self._reasons) == 1:
            return error
        reasons = " ".join(f"{name}: {reason}" for name, reason in self._reasons.items())
        return SourceUnreadable(f"No reader can follow this camera. {reasons}", remedy=RELAY_IT)


def open_rtsp(source: ParsedSource, limits: SourceLimits, fatal_methods: set[str] | None = None) -> Reader:
    """Open a reader of the source's video track: the native one, or FFmpeg's for other codecs. Raises
    SourceError as `RtspSession` does."""
    with ExitStack() as stack:
        session = stack.enter_context(closing(RtspSession(source, limits.first_frame_s, fatal_methods)))
        track = video_track(session.describe())
        if track is None:
            raise SourceInvalid(f"{source.shown} has no video in it.", remedy="Check the URL.")
        if track.is_encrypted:
            raise SourceInvalid(
                f"{source.shown} sends encrypted video (SRTP), which is not read.",
                remedy="Leave ?enableSrtp off the URL (UniFi: rtsp://host:7447/…), or switch SRTP off.",
            )
        if track.is_depacketizable:
            session.play(track.control)
            reader = PacketReader(session, track, limits.max_pixels)
            stack.pop_all()
            return reader
    return RelayedReader(Relay(source, limits.first_frame_s), limits)


class RelayedReader(FFmpegReader):
    """Reads with FFmpeg's RTSP client, through a relay to the checked address, which it closes. Raises
    SourceError."""

    def __init__(self, relay: Relay, limits: SourceLimits) -> None:
        self._relay, source = relay, relay.source
        # UDP would carry in the clear what rtsps encrypts.
        options = LOW_LATENCY | {"rtsp_transport": "tcp" if source.scheme == "rtsps" else "tcp+udp"}
        timeout_s = limits.first_frame_s
        try:
            super().__init__(
                OpenOptions(
                    relay.location, source.shown, "rtsp", options, timeout_s, PARSED, limits.max_pixels
                )
            )
        except SourceError as exc:
            relay.close()
            raise relay.problem or exc from exc

    def close(self) -> None:
        """Close the source and the relay. May be called twice."""
        super().close()
        self._relay.close()


class PacketReader:
    """Reads and decodes H.264 or H.265 from a playing session. One thread uses it."""

    name = "native"

    def __init__(self, session: RtspSession, track: VideoTrack, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        name, payload_format = FORMATS[track.encoding]
        self.skipped = 0
        self._session = session
        self._depacketizer = Depacketizer(payload_format, track.payload_type)
        self._clock = CaptureClock(track.clock_rate)
        self._time_base = Fraction(1, track.clock_rate)
        self._parameter_sets = track.parameter_sets
        self._decoder = FrameDecoder(_context(name), max_pixels)
        self._units: deque[AccessUnit] = deque()
        self._skips_to_key = False
        self._packet_s = time.monotonic()

    def close(self) -> None:
        """Close the session. May be called twice."""
        self._session.close()

    @property
    def last_received_s(self) -> float:
        """Monotonic time of the last packet; of a later reply, if it is not later by more than `QUIET_S`."""
        return max(self._packet_s, min(self._session.last_received_s, self._packet_s + QUIET_S))

    @property
    def corrupt(self) -> int:
        """Access units so far that were damaged or could not be decoded, and stretches of stray bytes."""
        return self._decoder.corrupt + self._session.parser.stray_runs

    def frames(self) -> Iterator[DecodedFrame | None]:
        """Yield every frame when its last packet arrives; None after each read, at least every `POLL_S`.

        Raises SourceError when the connection is lost.
        """
        while True:
            self._receive(0.0 if self._units else POLL_S)
            self._skip_if_late()
            if self._units:
                unit = self._units.popleft()
                captured_s, clock = self._clock.date(unit.timestamp, Moment.now().wall_of(unit.arrived_s))
                for frame in self._decoder.decode(self._packet(unit), captured_s):
                    yield replace(frame, clock=clock)
            if not self._units:
                yield None

    def _receive(self, wait_s: float) -> None:
        """Take all packets that have arrived; wait for the first at most `wait_s` seconds."""
        for _ in range(READS_AT_ONCE):
            packets = self._session.receive(wait_s)
            now = Moment.now()
            if packets:
                self._packet_s = now.monotonic_s
            for packet in packets:
                if is_rtcp(packet):
                    self._clock.add_report(packet, now.wall_s)
                else:
                    self._units += self._depacketizer.push(packet, now.monotonic_s)
            if self._session.is_drained:
                return
            wait_s = 0.0

    def _skip_if_late(self) -> None:
        late_s = self._units[-1].arrived_s - self._units[0].arrived_s if self._units else 0.0
        waiting_bytes = sum(len(unit.data) for unit in self._units)
        self._skips_to_key |= late_s >= SKIP_S or waiting_bytes > MAX_WAITING_BYTES
        newest_key = max((index for index, unit in enumerate(self._units) if unit.is_key), default=None)
        while self._skips_to_key and self._units and newest_key != 0:
            self._units.popleft()
            self.skipped += 1
            newest_key = None if newest_key is None else newest_key - 1
        self._skips_to_key &= newest_key is None

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
    return context
