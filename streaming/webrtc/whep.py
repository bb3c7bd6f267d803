"""Sends a stream's frames to browsers: WHEP (draft-ietf-wish-whep), by aiortc.

It runs on the asyncio loop of its coroutines; frames may be pushed from any thread, and the newest replaces
the one before. The offer must contain the peer's candidates (no trickle ICE).
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpSender
from numpy.typing import NDArray

from streaming.errors import InvalidStream, LimitReached, NotFound
from streaming.settings import Settings
from streaming.vocabulary import Frame
from streaming.webrtc.h264 import SENT_MODES
from streaming.webrtc.peer import (
    Offer,
    create_answer,
    new_connection,
    new_session_id,
    parse_offer,
    set_remote_offer,
)

log = logging.getLogger(__name__)

RTP_CLOCK_HZ = 90_000
CONNECT_TIMEOUT_S = 10.0
"""A viewer that has not connected by then is removed."""

REPEAT_S = 0.5
"""Without a new frame for this long, the last frame is sent again."""

MAX_VIEWERS = 8
"""Most viewers of a stream: each costs an encoder, 3.3 ms of a core per 640x360 frame."""

MAX_VIEW_SIZE = (1280, 720)
"""(width, height) in pixels; larger frames are scaled down, to save encoding time."""


def rtp_ticks(pts_s: float, index: int) -> int:
    """Return the RTP timestamp of a frame: its `pts_s` plus 0 to 63 ticks (0.7 ms) that depend on its index.

    A viewer sees these timestamps plus RTP's random offset, and has `pts_s` and `frame_index` of each result.
    The added ticks make constant frame rates uneven, so that a single offset fits several frames: with it the
    page finds the result of the frame on the screen (dashboards/static/sync.js). Squares, because their
    differences change from frame to frame; times Knuth's 2^32 / golden ratio (TAOCP 6.4).
    """
    dither = (index * index * 2654435761 & 0xFFFFFFFF) >> 26
    return round(pts_s * RTP_CLOCK_HZ) + dither


class _ViewerTrack(MediaStreamTrack):
    """The media track of one viewer; yields the newest frame."""

    kind = "video"

    def __init__(self, converter: _Converter) -> None:
        super().__init__()
        self._converter = converter
        self._frame: Frame | None = None
        self._fresh = asyncio.Event()
        self._shown_s = 0.0
        self._sent_ticks = -1
        self._shift_ticks = 0

    def show(self, frame: Frame) -> None:
        """Set the frame that the encoder takes next. Call on the loop."""
        self._frame = frame
        self._fresh.set()

    async def recv(self) -> av.VideoFrame:
        """Return the next frame to encode; called by aiortc's sender."""
        frame, repeated_s = await self._next()
        # Each encoder marks its own VideoFrame with what it made of it, so they share the planes only.
        video = av.VideoFrame.from_ndarray(await self._converter.planes(frame), format="yuv420p")
        ticks = rtp_ticks(frame.pts_s + repeated_s, frame.index) + self._shift_ticks
        if ticks <= self._sent_ticks:
            # The stream stood still longer than its own clock says, and repeats ran ahead of it.
            behind = self._sent_ticks - ticks + RTP_CLOCK_HZ // 30
            self._shift_ticks, ticks = self._shift_ticks + behind, ticks + behind
        self._sent_ticks = ticks
        video.pts, video.time_base = ticks, Fraction(1, RTP_CLOCK_HZ)
        return video

    async def _next(self) -> tuple[Frame, float]:
        """Return the frame to send; and, if it was sent before, for how many seconds it has been the
        newest."""
        while True:
            try:
                async with asyncio.timeout(REPEAT_S):
                    await self._fresh.wait()
            except TimeoutError:
                # A stream without new frames: a viewer that lost a packet, or has just connected, needs a
                # frame.
                if self._frame is not None:
                    return self._frame, time.monotonic() - self._shown_s
                continue
            self._fresh.clear()
            self._shown_s = time.monotonic()
            assert self._frame is not None, "a frame comes before its event"
            return self._frame, 0.0


class _Converter:
    """Converts RGB to YUV planes, once per frame for all viewers."""

    def __init__(self) -> None:
        self._busy = asyncio.Lock()
        self._frame: Frame | None = None
        self._planes: NDArray[np.uint8] | None = None

    async def planes(self, frame: Frame) -> NDArray[np.uint8]:
        """Return (H * 3 / 2, W) uint8, YUV 4:2:0 planes, BT.601 limited range, within MAX_VIEW_SIZE, H, W
        even."""
        async with self._busy:
            if self._planes is None or self._frame is not frame:
                self._planes = await asyncio.to_thread(_to_planes, frame)
                self._frame = frame
            return self._planes


def _to_planes(frame: Frame) -> NDArray[np.uint8]:
    height, width = frame.size
    scale = min(1.0, MAX_VIEW_SIZE[0] / width, MAX_VIEW_SIZE[1] / height)
    even = [max(2, int(side * scale) // 2 * 2) for side in (width, height)]
    picture = av.VideoFrame.from_ndarray(frame.pixels, format="rgb24")
    return np.asarray(picture.reformat(even[0], even[1], "yuv420p").to_ndarray(), dtype=np.uint8)


@dataclass(slots=True, eq=False)
class _Viewer:
    session_id: str
    connection: RTCPeerConnection
    view: _ViewerTrack
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def leave(self) -> None:
        """End the session: wake the task that waits for it."""
        self.connected.set()
        self.gone.set()


class WhepViewers:
    """The WHEP viewers of a stream. Without a viewer nothing is converted or encoded.

    `push` may be called from any thread; the coroutines from one loop, that of the first offer.
    """

    def __init__(self, settings: Settings, max_viewers: int = MAX_VIEWERS) -> None:
        self._settings = settings
        self._max_viewers = max_viewers
        self._viewers: dict[str, _Viewer] = {}
        self._converter: _Converter | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._newest: Frame | None = None
        self._waking = False

    @property
    def viewers(self) -> int:
        """Number of viewers, including those that are still connecting."""
        return len(self._viewers)

    def push(self, frame: Frame) -> None:
        """Set the frame to send next; a busy encoder skips to the newest. Never blocks."""
        self._newest = frame
        if self._viewers and self._loop is not None and not self._waking:
            self._waking = True
            self._loop.call_soon_threadsafe(self._wake)

    async def offer(self, sdp: str) -> tuple[str, str]:
        """Accept a viewer; return (session id, SDP answer).

        Raises InvalidStream (an offer that takes no video, or none we can answer), LimitReached.
        Cancelling it closes the connection.
        """
        offer = parse_offer(sdp, SENT_MODES)
        if offer.video_direction not in ("recvonly", "sendrecv"):
            raise InvalidStream("The offer takes no video.", remedy="Offer a video transceiver to receive.")
        if len(self._viewers) >= self._max_viewers:
            raise LimitReached(
                f"This stream has its {self._max_viewers} viewers.", remedy="Close one of the others."
            )
        viewer = self._new_viewer(offer)
        try:
            await set_remote_offer(viewer.connection, offer)
            answer_sdp = await create_answer(viewer.connection, offer, self._settings)
        except BaseException:
            del self._viewers[viewer.session_id]
            await viewer.connection.close()
            raise
        viewer.task = asyncio.create_task(self._serve(viewer))
        if self._newest is not None:
            viewer.view.show(self._newest)
        return viewer.session_id, answer_sdp

    async def end(self, session_id: str) -> None:
        """End a session; return when its connection is closed. Raises NotFound."""
        viewer = self._viewers.get(session_id)
        if viewer is None or viewer.task is None:
            raise NotFound("There is no such WHEP session.", remedy="It may have ended.")
        viewer.leave()
        await asyncio.wait([viewer.task])

    async def close(self) -> None:
        """End every session."""
        for viewer in list(self._viewers.values()):
            viewer.leave()
        tasks = [viewer.task for viewer in self._viewers.values() if viewer.task is not None]
        if tasks:
            await asyncio.wait(tasks)

    def _new_viewer(self, offer: Offer) -> _Viewer:
        self._loop = asyncio.get_running_loop()
        self._converter = self._converter or _Converter()
        viewer = _Viewer(new_session_id(), new_connection(), _ViewerTrack(self._converter))
        transceiver = viewer.connection.addTransceiver(viewer.view, direction="sendonly")
        # H.264 only to players that have no VP8, which takes a quarter of its encoding time here.
        wanted = "video/VP8" if "VP8" in offer.video_codecs else "video/H264"
        transceiver.setCodecPreferences(
            [
                codec
                for codec in RTCRtpSender.getCapabilities("video").codecs
                if codec.mimeType in (wanted, "video/rtx")
            ]
        )

        def changed() -> None:
            if viewer.connection.connectionState == "connected":
                viewer.connected.set()
            elif viewer.connection.connectionState in ("failed", "closed"):
                viewer.leave()

        viewer.connection.on("connectionstatechange", changed)
        self._viewers[viewer.session_id] = viewer
        return viewer

    async def _serve(self, viewer: _Viewer) -> None:
        """Wait until the viewer leaves, disconnects or fails to connect; then close."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await viewer.connected.wait()
            await viewer.gone.wait()
        except TimeoutError:
            log.info("whep: a viewer did not connect within %g s", CONNECT_TIMEOUT_S)
        finally:
            del self._viewers[viewer.session_id]
            await viewer.connection.close()

    def _wake(self) -> None:
        self._waking = False
        if self._newest is not None:
            for viewer in self._viewers.values():
                viewer.view.show(self._newest)
