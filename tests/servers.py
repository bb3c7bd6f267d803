"""Network parts for tests: an RTSP server that plays a clip, and a TCP proxy that stalls or corrupts."""

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
    """Return the left edge of the square on frame `index`, pixels; unique within one pass of the clip."""
    return 2 * (index % FRAMES)


def index_of(pixels: np.ndarray) -> int:
    """Return the index of the frame that an image (H, W, 3) shows, from the position of the square."""
    bright = pixels[HEIGHT // 2, :, 0] > 130
    return round(int(bright.argmax()) / 2)


def write_clip(path: Path, *, b_frames: int = 0, codec: str = "libx264") -> Path:
    """Write 50 frames at 25 fps of a red square that moves right on grey, with an IDR frame every ten."""
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
    """Return the path of the RTSP server go2rtc; skip the test if it is not installed."""
    binary = find_go2rtc(ROOT)
    if binary is None:
        pytest.skip("no RTSP server: `make rtsp-server` installs go2rtc")
    return binary


@contextmanager
def playing(clip: Path) -> Iterator[tuple[RtspServer, ClipPublisher]]:
    """Play a clip in an endless loop over an RTSP server."""
    publisher = ClipPublisher(clip)
    publisher.start()
    try:
        with RtspServer(go2rtc(), publisher.port) as server:
            yield server, publisher
    finally:
        publisher.stop()


class Wire:
    """TCP proxy on loopback to `port`.

    Clearing `flowing` stalls the replies. `damage_every = n` corrupts the payload of every n-th interleaved
    RTP packet of channel 0 (RFC 2326, section 10.12) but not its header, so that the framing stays valid.
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
        """Close all connections and stop listening."""
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
            for source, sink, copy in (
                (reader, upstream, self._copy_requests),
                (upstream, reader, self._copy_replies),
            ):
                threading.Thread(target=_until_closed, args=(copy, source, sink), daemon=True).start()

    def _copy_requests(self, source: socket.socket, sink: socket.socket) -> None:
        while data := source.recv(65_536):
            sink.sendall(data)

    def _copy_replies(self, source: socket.socket, sink: socket.socket) -> None:
        stream = source.makefile("rb")
        while head := stream.read(1):
            if head == b"$":
                head += stream.read(3)
                data = head + self._maybe_damaged(stream.read(int.from_bytes(head[2:4], "big")), head[1])
            else:
                data = head + stream.readline()
            self.flowing.wait()
            sink.sendall(data)

    def _maybe_damaged(self, packet: bytes, channel: int) -> bytes:
        self._packets += channel == 0
        if channel != 0 or not self.damage_every or self._packets % self.damage_every:
            return packet
        self.damaged += 1
        rng = np.random.default_rng(self._packets)
        body = np.frombuffer(packet[13:], np.uint8).copy()
        body[rng.random(body.size) < 0.3] ^= 0x5A
        return packet[:13] + body.tobytes()


def _until_closed(copy: object, source: socket.socket, sink: socket.socket) -> None:
    try:
        copy(source, sink)  # type: ignore[operator]
    except (OSError, ValueError):
        return  # one side closed the connection
    finally:
        for side in (source, sink):
            side.close()
