"""The browser's end of WHIP and WHEP sessions, with a test image to publish and to recognise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpTransceiver, RTCSessionDescription

from streaming.settings import Settings
from streaming.vocabulary import Pixels
from streaming.webrtc.ice import IceCandidates, gather_at
from streaming.webrtc.peer import new_connection

LOOPBACK = Settings(ice_addresses=["127.0.0.1"])

INVALID_OFFERS = [
    "",
    "hello",
    "v=0",
    "v=0\r\n" + "x" * 70_000,
    "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
    "v=0\r\nm=video",
    "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n",
    "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=sendonly\r\n",
    "v=0\r\na=group:BUNDLE\r\na=ssrc:x\r\nm=video 9 RTP 1\r\na=rtpmap:q\r\na=candidate:x\r\n",
]
"Bodies that are not SDP offers, or offers that cannot be answered."


def red_image(width: int = 320, height: int = 192) -> Pixels:
    """Return a red rectangle on dark grey, (H, W, 3) uint8 RGB."""
    pixels = np.full((height, width, 3), 40, np.uint8)
    pixels[40:120, 60:160] = (220, 30, 30)
    return pixels


def is_red_image(pixels: Pixels) -> bool:
    """Return whether pixels are `red_image` after lossy coding."""
    inside, outside = pixels[60:100, 80:140].mean((0, 1)), pixels[150:, 200:].mean((0, 1))
    return bool(np.abs(inside - (220, 30, 30)).max() < 25 and np.abs(outside - 40).max() < 15)


class Camera(MediaStreamTrack):
    """A browser's camera: sends the red image at `fps` until it is stopped; clear `running` to pause it."""

    kind = "video"

    def __init__(self, fps: int = 30) -> None:
        super().__init__()
        self.fps, self.sent = fps, 0
        self.running = asyncio.Event()
        self.running.set()
        self.pixels = red_image()

    async def recv(self) -> av.VideoFrame:
        await asyncio.sleep(1 / self.fps)
        await self.running.wait()
        frame = av.VideoFrame.from_ndarray(self.pixels, format="rgb24")
        frame.pts, frame.time_base = self.sent * 90_000 // self.fps, Fraction(1, 90_000)
        self.sent += 1
        return frame


class SingleFrameCamera(Camera):
    """Sends one frame and no more."""

    async def recv(self) -> av.VideoFrame:
        frame = await super().recv()
        self.running.clear()
        return frame


async def offer_of(connection: RTCPeerConnection) -> str:
    """Create an offer, set it as the local description, return its SDP with loopback candidates."""
    gather_at(connection, IceCandidates(("127.0.0.1",)))
    await connection.setLocalDescription(await connection.createOffer())
    return str(connection.localDescription.sdp)


def _restrict(transceiver: RTCRtpTransceiver, codec: str | None) -> None:
    if codec is not None:
        capabilities = transceiver.sender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([c for c in capabilities if c.mimeType == codec])


class Peer:
    """A browser's peer connection."""

    def __init__(self) -> None:
        self.connection = new_connection()

    async def offer_to_publish(self, camera: Camera | None = None, codec: str | None = None) -> str:
        transceiver = self.connection.addTransceiver(camera or Camera(), direction="sendonly")
        _restrict(transceiver, codec)
        return await offer_of(self.connection)

    async def offer_to_watch(self, codec: str | None = None) -> str:
        _restrict(self.connection.addTransceiver("video", direction="recvonly"), codec)
        return await offer_of(self.connection)

    async def accept(self, sdp: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def frame(self) -> tuple[Pixels, float]:
        """Return the next received frame, (H, W, 3) uint8 RGB, and its media time in seconds."""
        track = self.connection.getTransceivers()[0].receiver.track
        frame = await asyncio.wait_for(track.recv(), 10)
        assert isinstance(frame, av.VideoFrame)
        assert frame.time is not None
        return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), frame.time


async def until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Wait until a condition is true; fail after the timeout."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "the condition did not become true"
        await asyncio.sleep(0.01)
