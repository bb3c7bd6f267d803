"""Servers for tests: a real RTSP server playing a drawn clip, and a wire that can be cut, held or damaged."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from lab.fixtures.rtsp_server import ClipPublisher, RtspServer, find_go2rtc

ROOT = Path(__file__).parent.parent

FRAMES = 50
RATE = 25
HEIGHT, WIDTH = 96, 160
SQUARE_PX = 24


def position_of(index: int) -> int:
    """Left edge of the square on frame `index` of the clip; different on every frame of a round."""
    return 2 * (index % FRAMES)


def index_of(pixels: np.ndarray) -> int:
    """Which frame of the clip this picture shows."""
    bright = pixels[HEIGHT // 2, :, 0] > 130
    return round(int(bright.argmax()) / 2)


def write_clip(path: Path, *, b_frames: int = 0, codec: str = "libx264") -> Path:
    """Two seconds of a red square that moves right over grey, a key frame every ten frames."""
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "tune": "zerolatency"} if codec == "libx264" else {}
        if b_frames:
            options = {"preset": "veryfast", "bf": str(b_frames), "b-adapt": "0"}
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", 10
        for index in range(FRAMES):
            pixels = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
            left = position_of(index)
            pixels[24:72, left : left + SQUARE_PX] = (230, 40, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def go2rtc() -> Path:
    """The RTSP server's binary; the test is skipped where there is none."""
    binary = find_go2rtc(ROOT)
    if binary is None:
        pytest.skip("no RTSP server: `make rtsp-server` installs go2rtc")
    return binary


@contextmanager
def playing(clip: Path) -> Iterator[tuple[RtspServer, ClipPublisher]]:
    """A clip played for ever by a real RTSP server."""
    publisher = ClipPublisher(clip)
    publisher.start()
    try:
        with RtspServer(go2rtc(), publisher.port) as server:
            yield server, publisher
    finally:
        publisher.stop()


class Wire:
    """A TCP proxy on loopback between a reader and `port`, which can be held and damaged.

    Damage is done to the payload of interleaved RTP packets ($, channel, length), one in `every`, so that the
    framing survives: it is what a bad link leaves of a picture.
    """

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.flowing = threading.Event()
        self.flowing.set()
        self.damage_every = 0
        self.damaged = 0
        self._packets = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, name="wire", daemon=True).start()

    def close(self) -> None:
        """Cut every connection and take no more."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.flowing.set()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                reader, _ = self._server.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", self._upstream))
            self._open += [reader, upstream]
            for source, sink, carry in (
                (reader, upstream, self._carry),
                (upstream, reader, self._carry_back),
            ):
                threading.Thread(target=_until_closed, args=(carry, source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        while data := source.recv(65_536):
            sink.sendall(data)

    def _carry_back(self, source: socket.socket, sink: socket.socket) -> None:
        stream = source.makefile("rb")
        while head := stream.read(1):
            if head == b"$":
                head += stream.read(3)
                data = head + self._perhaps_damaged(stream.read(int.from_bytes(head[2:4], "big")), head[1])
            else:
                data = head + stream.readline()
            self.flowing.wait()
            sink.sendall(data)

    def _perhaps_damaged(self, packet: bytes, channel: int) -> bytes:
        self._packets += channel == 0
        if channel != 0 or not self.damage_every or self._packets % self.damage_every:
            return packet
        self.damaged += 1
        rng = np.random.default_rng(self._packets)
        body = np.frombuffer(packet[13:], np.uint8).copy()
        body[rng.random(body.size) < 0.3] ^= 0x5A
        return packet[:13] + body.tobytes()


def _until_closed(carry: object, source: socket.socket, sink: socket.socket) -> None:
    try:
        carry(source, sink)  # type: ignore[operator]
    except (OSError, ValueError):
        return  # one side has gone, which is what a wire is for
    finally:
        for side in (source, sink):
            side.close()
