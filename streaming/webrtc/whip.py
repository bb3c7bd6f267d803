"""A browser publishes: WHIP (RFC 9725), by aiortc.

It lives on whatever asyncio loop its coroutines run on; pictures cross to the source's thread by a one-place
slot. Candidates are host candidates at the addresses of the settings; the offer must hold the peer's own
(no trickle).

aiortc hands pictures over in a queue without a bound and lets one pile up behind a slow reader (aiortc #64,
#1192), so `WhipSource` empties it always, on the loop, and does its own dropping. Of an arriving picture
`decode_s` is the conversion to RGB alone: aiortc does not say how long it decoded.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
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
from streaming.sources.base import STOP_TIMEOUT_S, Source
from streaming.sources.ffmpeg import POLL_S
from streaming.sources.live import SourceTimeouts
from streaming.sources.timeline import Timeline
from streaming.vocabulary import SourceState, StreamId
from streaming.webrtc.jitter_buffer import use_markers
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
class _Arrived:
    picture: av.VideoFrame
    at_s: float
    session_id: str


@dataclass(frozen=True, slots=True, eq=False)
class _Left:
    trouble: SourceError


@dataclass(slots=True, eq=False)
class _Publisher:
    session_id: str
    connection: RTCPeerConnection
    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[None] | None = None
    closing: bool = False

    def hang_up(self) -> None:
        """End its task, which closes the connection, unless it is at that already; on its loop."""
        if self.task is not None and not self.closing:
            self.task.cancel()


class WhipSource(Source):
    """A stream that somebody publishes. It waits for a publisher, follows one at a time, and waits again.

    `start` and `stop` may be called from any thread, the coroutines from one loop.
    """

    def __init__(self, stream_id: StreamId, ice_addresses: Sequence[str], timeouts: SourceTimeouts) -> None:
        super().__init__(stream_id)
        self._ice_addresses = tuple(ice_addresses)
        self._timeouts = timeouts
        self._publisher: _Publisher | None = None
        self._arrivals: Latest[_Arrived | _Left] = Latest()
        self._timeline = Timeline()
        self._shown_session_id = ""

    async def offer(self, sdp: str) -> tuple[str, str]:
        """Let somebody publish: (session id, SDP answer).

        Raises InvalidStream (an offer without video to send, or none we can answer), Conflict (somebody
        publishes already), ServiceUnavailable (the stream is being removed). Cancelling it hangs up.
        """
        offer = parse_offer(sdp)
        if offer.video_direction not in ("sendonly", "sendrecv"):
            raise InvalidStream("The offer does not send video.", remedy="Add a video track before offering.")
        self._refuse_if_stopping()
        if self._publisher is not None:
            raise Conflict(
                f"Somebody publishes to {self.status.stream_id} already.",
                remedy="End that session first, or use another stream.",
            )
        publisher = _Publisher(new_session_id(), new_connection(), asyncio.get_running_loop())
        self._publisher = publisher
        try:
            await set_remote_offer(publisher.connection, offer)
            receiver = _video_receiver(publisher.connection)
            use_markers(receiver)
            answer_sdp = await create_answer(publisher.connection, self._ice_addresses)
            self._refuse_if_stopping()
        except BaseException:
            self._publisher = None
            await publisher.connection.close()
            raise
        publisher.task = asyncio.create_task(self._follow(publisher, receiver))
        return publisher.session_id, answer_sdp

    def _refuse_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise ServiceUnavailable("This stream is being removed.")

    async def end(self, session_id: str) -> None:
        """The publisher leaves; returns when its connection is closed. Raises NotFound."""
        publisher = self._publisher
        if publisher is None or publisher.task is None or publisher.session_id != session_id:
            raise NotFound(f"{self.status.stream_id} has no such WHIP session.", remedy="It may have ended.")
        publisher.hang_up()
        await asyncio.wait([publisher.task])

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """End the source and hang up on its publisher."""
        self._stopping.set()
        self._arrivals.close()
        publisher = self._publisher
        if publisher is not None and not publisher.loop.is_closed():
            publisher.loop.call_soon_threadsafe(publisher.hang_up)
        return super().stop(timeout_s)

    async def _follow(self, publisher: _Publisher, receiver: RTCRtpReceiver) -> None:
        """Take every picture as it comes, until the publisher leaves or falls silent."""
        trouble: SourceError = SourceUnavailable("The publisher left.", remedy="Waiting for another.")
        silence_s = self._timeouts.first_frame_s
        try:
            while True:
                async with asyncio.timeout(silence_s):
                    picture = await receiver.track.recv()
                assert isinstance(picture, av.VideoFrame), "a video track gives video frames"
                silence_s = self._timeouts.stall_s
                self._arrivals.put(_Arrived(picture, time.time(), publisher.session_id))
                if shed := drop_backlog(receiver):
                    log.warning("source %s: decoder too slow, %d pictures shed", self.status.stream_id, shed)
        except MediaStreamError:
            log.info("source %s: the publisher left", self.status.stream_id)
        except TimeoutError:
            trouble = SourceStalled(
                f"The publisher sent no picture for {silence_s:g} s.", remedy="Waiting for another."
            )
        finally:
            publisher.closing = True
            await publisher.connection.close()
            self._publisher = None
            self._arrivals.put(_Left(trouble))

    def _run(self) -> None:
        self._become(SourceState.STARTING, "Waiting for a publisher.")
        while not self._stopping.is_set():
            taken = self._arrivals.take(POLL_S)
            if taken is None:
                continue
            arrival, dropped = taken
            self._skip(dropped)
            if isinstance(arrival, _Left):
                self._become(SourceState.RECONNECTING, str(arrival.trouble), arrival.trouble.code)
            else:
                self._show_arrived(arrival)

    def _show_arrived(self, arrived: _Arrived) -> None:
        if arrived.session_id != self._shown_session_id:
            self._timeline.restart()
            self._count(reconnects=int(bool(self._shown_session_id)))
            self._shown_session_id = arrived.session_id
        started_s = time.perf_counter()
        pixels = np.ascontiguousarray(arrived.picture.to_ndarray(format="rgb24"), dtype=np.uint8)
        converted_s = time.perf_counter() - started_s
        self._show(pixels, self._timeline.at(arrived.picture.time, arrived.at_s), arrived.at_s, converted_s)


def _video_receiver(connection: RTCPeerConnection) -> RTCRtpReceiver:
    return next(each.receiver for each in connection.getTransceivers() if each.kind == "video")
