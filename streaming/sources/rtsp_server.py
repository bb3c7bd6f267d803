"""A real RTSP server that plays a clip for ever: go2rtc, fed by us. For the demo and the tests.

Theory of operation. `ClipPublisher` plays the clip in real time as MPEG-TS to whoever connects to its
TCP port, from the next key frame on, whether or not anybody listens: a camera that does not care.
go2rtc pulls from there when its first reader comes, and hands the same packets on as RTSP. The picture
is neither decoded nor encoded again. Both sides listen on 127.0.0.1 only.

Measured with go2rtc 1.9.14-cui.48: packets come out within 1 ms of being published (with the length of
each PES packet written, see `MUXER`; 40 ms more without). A stream published to it by ANNOUNCE is
accepted but never served (404), hence the pull. When the publisher restarts, go2rtc comes back by
itself within about a second.
"""

from __future__ import annotations

import logging
import shutil
import socket
import tempfile
import threading
import time
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import OutputContainer
from av.packet import Packet

from streaming.child import Child
from streaming.errors import ServiceUnavailable
from streaming.sources.clip import clip_opening
from streaming.sources.pictures import open_container

log = logging.getLogger(__name__)

START_TIMEOUT_S = 5.0
NPM_BINARY = ".tools/node_modules/@camera.ui/go2rtc-linux-*/go2rtc"

MUXER = {"flush_packets": "1", "omit_video_pes_length": "0"}
"""Without its length go2rtc knows the end of a picture only when the next one begins."""

MAX_READERS = 4
SEND_TIMEOUT_S = 1.0
"""A reader that takes nothing for this long is dropped: one thread plays to all and must keep its pace."""

CONFIG = """\
api: {{listen: ""}}
webrtc: {{listen: ""}}
srtp: {{listen: ""}}
rtsp: {{listen: "127.0.0.1:{port}"}}
log: {{level: warn, format: text}}
streams: {{live: "tcp://127.0.0.1:{upstream}"}}
"""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def find_go2rtc(root: Path) -> Path | None:
    """The go2rtc binary: on PATH, or where `make rtsp-server` puts it below `root`; None: there is none."""
    on_path = shutil.which("go2rtc")
    if on_path:
        return Path(on_path)
    return next(root.glob(NPM_BINARY), None)


class ClipPublisher:
    """Plays a clip for ever, in real time, as MPEG-TS over TCP, with timestamps that keep growing.

    Raises on construction what `pictures.open_container` raises.
    """

    def __init__(self, clip: Path, port: int = 0) -> None:
        self._container = open_container(clip_opening(str(clip)))
        self._video = self._container.streams.video[0]
        base = self._video.time_base
        assert base is not None, "a demuxed stream always has one"
        self._time_base = Fraction(base.numerator, base.denominator)
        self._server = socket.create_server(("127.0.0.1", port))
        self._server.setblocking(False)
        self.port: int = self._server.getsockname()[1]
        "Where it can be pulled from on 127.0.0.1."
        self.first_frame_s: float | None = None
        "Unix time at which frame 0 of the first round was published; every later frame is on time by it."
        self._start_s = 0.0
        self._outputs: list[_Output] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clip-publisher", daemon=True)

    def start(self) -> None:
        """Begin to play."""
        self._thread.start()

    def stop(self) -> None:
        """Stop playing and hang up on everybody."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._server.close()
        self._container.close()

    def _run(self) -> None:
        offset = 0
        try:
            while not self._stopping.is_set():
                offset = self._play_once(offset)
                self._container.seek(0)
        finally:
            for output in self._outputs:
                output.close()

    def _play_once(self, offset: int) -> int:
        """Play the clip with `offset` ticks added to its timestamps; where the next round begins."""
        end = offset
        for packet in self._container.demux(self._video):
            if self._stopping.is_set():
                break
            if packet.pts is None or packet.dts is None:
                continue
            packet.pts += offset
            packet.dts += offset
            end = max(end, packet.pts + (packet.duration or 1))
            self._wait_until(float(packet.dts * self._time_base))
            self._send(packet)
        return end

    def _wait_until(self, due_s: float) -> None:
        if self.first_frame_s is None:
            self.first_frame_s, self._start_s = time.time() - due_s, time.monotonic() - due_s
        self._stopping.wait(max(0.0, self._start_s + due_s - time.monotonic()))

    def _send(self, packet: Packet[av.VideoStream]) -> None:
        if packet.is_keyframe:
            self._welcome()
        for output in list(self._outputs):
            if not output.send(packet):
                self._outputs.remove(output)

    def _welcome(self) -> None:
        """Let everybody in who waits at the door, up to `MAX_READERS`."""
        while len(self._outputs) < MAX_READERS:
            try:
                connection, _ = self._server.accept()
            except BlockingIOError:
                return
            self._outputs.append(_Output(connection, self._video))


class _Output:
    """One connection that is being played to."""

    def __init__(self, connection: socket.socket, video: av.VideoStream) -> None:
        self._connection = connection
        connection.setblocking(True)
        connection.settimeout(SEND_TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._container: OutputContainer = av.open(self, "w", format="mpegts", options=MUXER)
        self._stream = self._container.add_stream_from_template(video)

    def write(self, data: bytes) -> int:
        """What PyAV asks of a file."""
        self._connection.sendall(data)
        return len(data)

    def send(self, packet: Packet[av.VideoStream]) -> bool:
        """Play one packet; False when the reader has gone."""
        own = av.Packet(bytes(packet))
        own.pts, own.dts, own.time_base = packet.pts, packet.dts, packet.time_base
        own.is_keyframe, own.stream = packet.is_keyframe, self._stream
        try:
            self._container.mux(own)
        except (OSError, av.FFmpegError):
            self.close()
            return False
        return True

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class RtspServer:
    """go2rtc on a port of 127.0.0.1, playing what a `ClipPublisher` publishes; a child that ends with us."""

    def __init__(self, binary: Path, publisher_port: int, port: int | None = None) -> None:
        self.port = free_port() if port is None else port
        self.url = f"rtsp://127.0.0.1:{self.port}/live"
        self._binary = binary
        self._config = CONFIG.format(port=self.port, upstream=publisher_port)
        self._folder: Path | None = None
        self._child: Child | None = None

    def start(self) -> str:
        """Start it and wait until it listens; its URL.

        Raises ServiceUnavailable, with its own last words, if it does not come up.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="saccade-rtsp-"))
        config, output = self._folder / "go2rtc.yaml", self._folder / "go2rtc.log"
        config.write_text(self._config)
        self._child = Child([str(self._binary), "-config", str(config)], log_path=output)
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self._listens():
            if self._child.exit_code is not None or time.monotonic() > deadline_s:
                last = output.read_text(errors="replace")[-200:].strip()
                self.stop()
                raise ServiceUnavailable(f"The RTSP server {self._binary} does not start: {last}")
            time.sleep(0.02)
        return self.url

    def stop(self) -> None:
        """Stop it. May be called twice; `start` may follow, on the same port."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=0.2).close()
        except OSError:
            return False
        return True
