"""A minimal RTSP server on loopback with replies and packets of the test's choice; RTP of H.264 and H.265."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import av
from aiortc import RTCCertificate
from aiortc.codecs.h264 import H264Encoder
from cryptography.hazmat.primitives import serialization

from streaming.rtsp.depacketizer import START_CODE
from streaming.sources.live import SourceLimits
from streaming.url_guard import ParsedSource, SourcePolicy, check_source_url

LOOPBACK = SourcePolicy(allowed_hosts=("127.0.0.0/8",))
PATIENCE = SourceLimits(first_frame_s=5.0, stall_s=0.7)
IMPATIENCE = SourceLimits(first_frame_s=0.8, stall_s=0.7)
PAYLOAD_TYPE = 96
PARAMETER_SET_TYPES = {"H264": (7, 8), "H265": (32, 33, 34)}

Answer = Callable[[str], bytes | None]
"""Maps a request to the reply to send; None: the default reply."""


class Camera:
    """RTSP server that sends the bytes `stream` after PLAY. `answer` may replace any reply.

    `requests` has all requests in order of arrival, over all connections.
    """

    def __init__(
        self,
        sdp: str,
        stream: bytes = b"",
        answer: Answer = lambda _: None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[str] = []
        self._sdp, self._stream, self._answer, self._tls = sdp, stream, answer, tls
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open = [self._server]
        self._scheme = "rtsps" if tls else "rtsp"
        threading.Thread(target=self._accept, name="camera", daemon=True).start()

    def source(self, userinfo: str = "") -> ParsedSource:
        """Return the URL, after the URL guard, with its address pinned."""
        port = self._server.getsockname()[1]
        return check_source_url(f"{self._scheme}://{userinfo}127.0.0.1:{port}/live", LOOPBACK)

    def requests_of(self, method: str) -> list[str]:
        """Return the requests of a method."""
        return [request for request in self.requests if request.startswith(method + " ")]

    def send(self, data: bytes) -> None:
        """Send bytes on the newest connection."""
        self._open[-1].sendall(data)

    def hang_up(self) -> None:
        """End the connections, and listen on."""
        for each in self._open[1:]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
                if self._tls:
                    connection = self._tls.wrap_socket(connection, server_side=True)
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection.makefile("rb") as incoming:
            lines: list[str] = []
            while line := incoming.readline():
                lines.append(line.decode())
                if line == b"\r\n":
                    request, lines = "".join(lines), []
                    self.requests.append(request)
                    if not request.startswith("RTSP/"):
                        self._reply(connection, request)

    def _reply(self, connection: socket.socket, request: str) -> None:
        method = request.split()[0]
        own = self._answer(request)
        if own is not None:
            connection.sendall(own.replace(b"{cseq}", cseq_of(request)))
            return
        head = b"RTSP/1.0 200 OK\r\nCSeq: " + cseq_of(request) + b"\r\n"
        if method == "DESCRIBE":
            body = self._sdp.encode()
            head += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        elif method == "SETUP":
            head += b"Session: 7;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
        else:
            head += b"Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n\r\n"
        connection.sendall(head + (self._stream if method == "PLAY" else b""))


def cseq_of(request: str) -> bytes:
    found = re.search(r"^CSeq: *(\d+)", request, re.IGNORECASE | re.MULTILINE)
    assert found
    return found[1].encode()


def encoded(clip: Path) -> list[bytes]:
    """Return the encoded pictures of a clip in decoding order, as Annex B byte streams."""
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        to_annex_b = av.BitStreamFilterContext(f"{video.codec_context.name}_mp4toannexb", video)
        packets = [packet for packet in container.demux(video) if packet.dts is not None]
        return [bytes(each) for packet in packets for each in to_annex_b.filter(packet)]


def nal_units(picture: bytes) -> list[bytes]:
    return list(H264Encoder._split_bitstream(picture))


def h264_payloads(picture: bytes) -> list[bytes]:
    """Return RTP payloads (RFC 6184) as aiortc packs them: single NAL units, STAP-A and FU-A."""
    return H264Encoder._packetize(nal_units(picture))


def h265_payloads(picture: bytes, most: int = 120) -> list[bytes]:
    """Return RTP payloads (RFC 7798): small NAL units in an aggregation packet, large ones as fragments."""
    units = nal_units(picture)
    small = [unit for unit in units if len(unit) <= most // 4]
    payloads = []
    if len(small) > 1:
        payloads.append(b"\x60\x01" + b"".join(struct.pack("!H", len(unit)) + unit for unit in small))
    else:
        payloads += small
    for unit in units:
        if len(unit) > most // 4:
            payloads += _fragments(unit, most)
    return payloads


def _fragments(unit: bytes, most: int) -> list[bytes]:
    kind, pieces = unit[0] >> 1 & 0x3F, [unit[i : i + most] for i in range(2, len(unit), most)]
    head = bytes([unit[0] & 0x81 | 49 << 1, unit[1]])
    marks = [(0x80 if i == 0 else 0) | (0x40 if i == len(pieces) - 1 else 0) for i in range(len(pieces))]
    return [head + bytes([mark | kind]) + piece for mark, piece in zip(marks, pieces, strict=True)]


def rtp(payload: bytes, number: int, timestamp: int, *, marker: bool = False) -> bytes:
    """Return an RTP packet (RFC 3550)."""
    kind = PAYLOAD_TYPE | (0x80 if marker else 0)
    return struct.pack("!BBHLL", 0x80, kind, number & 0xFFFF, timestamp & 0xFFFFFFFF, 1) + payload


def rtp_packets(pictures: Iterable[list[bytes]], first: int = 0, step: int = 3_600) -> list[bytes]:
    """Return RTP packets of pictures, each a list of payloads; the last of a picture has the marker bit."""
    packets: list[bytes] = []
    for index, payloads in enumerate(pictures):
        for k, payload in enumerate(payloads):
            last = k == len(payloads) - 1
            packets.append(rtp(payload, first + len(packets), first + index * step, marker=last))
    return packets


def interleaved(packets: Iterable[bytes], channel: int = 0) -> bytes:
    return b"".join(struct.pack("!cBH", b"$", channel, len(packet)) + packet for packet in packets)


def sdp_of(encoding: str, picture: bytes = b"") -> str:
    """Return the SDP of a stream, with the parameter sets of `picture`."""
    kinds = PARAMETER_SET_TYPES.get(encoding, ())
    kind_of = (lambda unit: unit[0] & 0x1F) if encoding == "H264" else (lambda unit: unit[0] >> 1 & 0x3F)
    sets = [base64.b64encode(unit).decode() for unit in nal_units(picture) if kind_of(unit) in kinds]
    names = ("sprop-vps", "sprop-sps", "sprop-pps")
    if encoding == "H264":
        parameters = "packetization-mode=1;sprop-parameter-sets=" + ",".join(sets)
    else:
        parameters = ";".join(f"{name}={value}" for name, value in zip(names, sets, strict=False))
    return (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\na=control:*\r\n"
        "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 opus/48000/2\r\na=control:track0\r\n"
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} {encoding}/90000\r\n"
        f"a=fmtp:{PAYLOAD_TYPE} {parameters}\r\na=control:track1\r\n"
    )


def without_parameter_sets(picture: bytes) -> bytes:
    """Return an H.264 picture without its parameter sets."""
    return b"".join(START_CODE + unit for unit in nal_units(picture) if unit[0] & 0x1F not in (7, 8))


def own_certificate(folder: Path) -> ssl.SSLContext:
    """Return the TLS settings of a server with a certificate that it signed itself."""
    made = RTCCertificate.generateCertificate()
    pem = made._cert.public_bytes(serialization.Encoding.PEM)
    formats = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "pem").write_bytes(pem + made._key.private_bytes(serialization.Encoding.PEM, *formats))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pem")
    return context
