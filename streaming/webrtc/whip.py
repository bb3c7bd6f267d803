"""The source that a browser publishes to: WHIP (RFC 9725), by aiortc.

It runs on the asyncio loop of its coroutines; frames cross to the source's thread through a `Latest` slot.
The offer must contain the peer's candidates (no trickle ICE).

aiortc's queue of decoded frames is unbounded and grows behind a slow reader (aiortc #64, #1192), so
`WhipSource` reads every frame at once, on the loop, and drops by itself. `decode_s` is the conversion to RGB
only: aiortc does not report the duration of decoding.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

import av
import numpy as np
from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError

from streaming.errors import (
    Conflict,
    InvalidStream,
    NotFound,
    ServiceUnavailable,
    SourceError,
    SourceStalled,
    SourceUnavailable,
)
from streaming.latest import Latest
from streaming.moment import Moment
from streaming.settings import Settings
from streaming.sources.base import STOP_TIMEOUT_S, Source
from streaming.sources.ffmpeg import POLL_S
from streaming.sources.live import SourceLimits
from streaming.sources.timeline import Timeline
from streaming.vocabulary import SourceState, StreamId
from streaming.webrtc.decoders import limit_decoders
from streaming.webrtc.h264 import RECEIVED_MODES
from streaming.webrtc.jitter_buffer import keep_one_layer, use_markers
from streaming.webrtc.peer import (
    create_answer,
    drop_backlog,
    new_connection,
    new_session_id,
    parse_offer,
    set_remote_offer,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _ReceivedFrame:
    video_frame: av.VideoFrame
    arrived: Moment
    session_id: str


@dataclass(frozen=True, slots=True, eq=False)
class _SessionEnded:
    error: SourceError


@dataclass(slots=True, eq=False)
class _WhipSession:
    session_id: str
    connection: RTCPeerConnection
    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[None] | None = None
    closing: bool = False

    def cancel(self) -> None:
        """Cancel the task, which closes the connection, unless it does so already. Call on its loop."""
        if self.task is not None and not self.closing:
            self.task.cancel()


class WhipSource(Source):
    """Waits for a publisher, receives its frames, one publisher at a time, and waits again.

    `start` and `stop` may be called from any thread, the coroutines from one loop.
    """

    def __init__(self, stream_id: StreamId, settings: Settings, limits: SourceLimits) -> None:
        super().__init__(stream_id)
        self._settings = settings
        self._limits = limits
        limit_decoders(limits.max_pixels)
        self._publisher: _WhipSession | None = None
        self._arrivals: Latest[_ReceivedFrame | _SessionEnded] = Latest()
        self._timeline = Timeline()
        self._last_session_id = ""

    async def offer(self, sdp: str) -> tuple[str, str]:
        """Accept a publisher; return (session id, SDP answer).

        Raises InvalidStream (an offer without video to send, or none we can answer), Conflict (there is a
        publisher already), ServiceUnavailable (the stream is being removed). Cancelling it closes the
        connection.
        """
        offer = parse_offer(sdp, RECEIVED_MODES)
        if offer.video_direction not in ("sendonly", "sendrecv"):
            raise InvalidStream("The offer does not send video.", remedy="Add a video track before offering.")
        self._refuse_if_stopping()
        if self._publisher is not None:
            raise Conflict(
                f"Somebody publishes to {self.status.stream_id} already.",
                remedy="End that session first, or use another stream.",
            )
        publisher = _WhipSession(new_session_id(), new_connection(), asyncio.get_running_loop())
        self._publisher = publisher
        try:
            await set_remote_offer(publisher.connection, offer)
            receiver = _video_receiver(publisher.connection)
            use_markers(receiver)
            keep_one_layer(receiver)
            answer_sdp = await create_answer(publisher.connection, offer, self._settings)
            self._refuse_if_stopping()
        except BaseException:
            self._publisher = None
            await publisher.connection.close()
            raise
        publisher.task = asyncio.create_task(self._receive(publisher, receiver))
        return publisher.session_id, answer_sdp

    def _refuse_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise ServiceUnavailable("This stream is being removed.")

    async def end(self, session_id: str) -> None:
        """End a session; return when its connection is closed. Raises NotFound."""
        publisher = self._publisher
        if publisher is None or publisher.task is None or publisher.session_id != session_id:
            raise NotFound(f"{self.status.stream_id} has no such WHIP session.", remedy="It may have ended.")
        publisher.cancel()
        await asyncio.wait([publisher.task])

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """End the source and its session."""
        self._stopping.set()
        self._arrivals.close()
        publisher = self._publisher
        if publisher is not None and not publisher.loop.is_closed():
            publisher.loop.call_soon_threadsafe(publisher.cancel)
        return super().stop(timeout_s)

    async def _receive(self, publisher: _WhipSession, receiver: RTCRtpReceiver) -> None:
        """Receive every frame until the publisher leaves or stalls."""
        error: SourceError = SourceUnavailable("The publisher left.", remedy="Waiting for another.")
        frame_timeout_s = self._limits.first_frame_s
        try:
            while True:
                async with asyncio.timeout(frame_timeout_s):
                    video_frame = await receiver.track.recv()
                assert isinstance(video_frame, av.VideoFrame), "a video track gives video frames"
                frame_timeout_s = self._limits.stall_s
                self._arrivals.put(_ReceivedFrame(video_frame, Moment.now(), publisher.session_id))
                if dropped := drop_backlog(receiver):
                    log.warning(
                        "source %s: decoder too slow, %d frames dropped", self.status.stream_id, dropped
                    )
        except MediaStreamError:
            log.info("source %s: the publisher left", self.status.stream_id)
        except TimeoutError:
            error = SourceStalled(
                f"The publisher sent no picture for {frame_timeout_s:g} s.", remedy="Waiting for another."
            )
        finally:
            publisher.closing = True
            error = _failure_of(publisher.connection) or error
            await publisher.connection.close()
            self._publisher = None
            self._arrivals.put(_SessionEnded(error))

    def _run(self) -> None:
        self._set_state(SourceState.STARTING, "Waiting for a publisher.")
        while not self._stopping.is_set():
            taken = self._arrivals.take(POLL_S)
            if taken is None:
                continue
            arrival, dropped = taken
            self._count_skipped(dropped)
            if isinstance(arrival, _SessionEnded):
                self._set_state(SourceState.RECONNECTING, str(arrival.error), arrival.error.code)
            else:
                self._convert(arrival)

    def _convert(self, received: _ReceivedFrame) -> None:
        if received.session_id != self._last_session_id:
            self._timeline.restart()
            self._count(reconnects=int(bool(self._last_session_id)))
            self._last_session_id = received.session_id
        started_s = time.perf_counter()
        pixels = np.ascontiguousarray(received.video_frame.to_ndarray(format="rgb24"), dtype=np.uint8)
        converted_s = time.perf_counter() - started_s
        self._deliver_frame(
            pixels,
            self._timeline.at(received.video_frame.time, received.arrived.monotonic_s),
            received.arrived.wall_s,
            converted_s,
        )


def _failure_of(connection: RTCPeerConnection) -> SourceError | None:
    if connection.connectionState in ("connected", "closed"):
        return None
    if connection.iceConnectionState == "completed":
        remedy = "FFmpeg built with GnuTLS needs a certificate (P-256): -cert_file, -key_file."
        return SourceUnavailable("The encryption (DTLS) with the publisher failed.", remedy=remedy)
    return SourceUnavailable(
        "No UDP path to the publisher.", remedy="See ice_addresses and `saccade doctor`."
    )


def _video_receiver(connection: RTCPeerConnection) -> RTCRtpReceiver:
    return next(each.receiver for each in connection.getTransceivers() if each.kind == "video")
