"""FFmpeg behind the relay, against servers that try to lead it elsewhere on this machine."""

import contextlib
import select
import socket

import av
import pytest

from lab.fixtures.hostile_camera import HostileCamera, Manners, encode_pictures
from streaming.errors import SourceError, SourceUnavailable, SourceUnreadable
from streaming.rtsp.relay import Relay
from streaming.rtsp.source import RelayedReader
from streaming.sources.live import SourceLimits
from streaming.url_guard import SourcePolicy, check_source_url
from tests.cameras import Camera, encoded, h264_payloads, interleaved, own_certificate, rtp_packets, sdp_of

SDP = sdp_of("JPEG")
TIMEOUTS = SourceLimits(first_frame_s=1.0, stall_s=1.0)
LOOPBACK = SourcePolicy(allowed_hosts=("127.0.0.1",))


@pytest.fixture
def forbidden():
    """A TCP server on an address that the policy does not allow, and that nothing may connect to."""
    with socket.create_server(("127.0.0.2", 0)) as server:
        yield server
        assert not select.select([server], [], [], 0.1)[0], "it was connected to"


def place_of(server):
    host, port = server.getsockname()
    return f"rtsp://{host}:{port}/live"


@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP"])
@pytest.mark.parametrize(
    "status",
    [
        "RTSP/1.0 302 Found",
        "RTSP/1.0 301",
        "RTSP/1.0\t0307 x",
        "RTSP/\r1.0 3\r02 x",
        "RTSP/x  +302",
        " RTSP/1.0 302",
    ],
)
def test_a_redirect_is_not_followed(forbidden, method, status):
    def redirecting(request):
        if request.startswith(method):
            return f"{status}\r\nCSeq: 1\r\nLocation: {place_of(forbidden)}\r\n\r\n".encode()
        return None

    with Camera(SDP, answer=redirecting) as camera:
        with pytest.raises(SourceUnavailable, match="redirects") as caught:
            opened(camera.source().location)
        assert "not followed" in str(caught.value)


def check(url):
    return check_source_url(url, LOOPBACK)


def opened(url):
    return RelayedReader(Relay(check(url), TIMEOUTS.first_frame_s), TIMEOUTS)


def test_a_redirect_that_comes_in_pieces_is_not_followed(forbidden):
    pieces = [b"RTSP/1", b".0 3", b"02 Found\r\nLocat", f"ion: {place_of(forbidden)}\r\n\r\n".encode()]
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = Relay(check(f"rtsp://127.0.0.1:{server.getsockname()[1]}/live"), 1.0)
        port = int(relay.location.rpartition(":")[2].partition("/")[0])
        connection, _ = server.accept()
        with connection, socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"OPTIONS * RTSP/1.0\r\n\r\n")
            assert connection.recv(100).startswith(b"OPTIONS")
            for piece in pieces:
                with contextlib.suppress(OSError):
                    connection.sendall(piece)
            client.settimeout(5.0)
            came = b""
            while data := client.recv(100):
                came += data
            assert b"302" not in came
        relay.close()


def test_a_redirect_to_the_relay_itself_or_to_nowhere_ends_the_session():
    with (
        Camera(SDP, answer=lambda _: b"RTSP/1.0 302 Found\r\n\r\n") as camera,
        pytest.raises(SourceUnavailable, match="redirects to 'elsewhere'"),
    ):
        opened(camera.source().location)


def test_a_password_in_a_long_redirect_is_not_shown():
    place = f"rtsp://user:{'hush' * 60}@127.0.0.1/live"
    head = f"RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: {place}\r\n\r\n".encode()
    with (
        Camera(SDP, answer=lambda _: head) as camera,
        pytest.raises(SourceUnavailable, match=r"redirects to 'rtsp://\*\*\*@127.0.0.1/live'"),
    ):
        opened(camera.source().location)


def test_the_place_of_a_redirect_is_shown_only_if_all_of_it_has_come():
    """Without its `@`, a password would not be found."""
    head = b"RTSP/1.0 302 Found\r\nLocation: rtsp://user:hush"
    with (
        Camera(SDP, answer=lambda _: head) as camera,
        pytest.raises(SourceUnavailable, match="redirects to 'elsewhere'"),
    ):
        opened(camera.source().location)


def test_without_the_relay_ffmpeg_would_follow():
    with Camera(SDP) as elsewhere:
        place = elsewhere.source().location
        head = f"RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: {place}\r\n\r\n".encode()
        with Camera(SDP, answer=lambda _: head) as camera, contextlib.suppress(av.FFmpegError):
            av.open(camera.source().location, options={"rtsp_transport": "tcp"}, timeout=1.0)
        assert elsewhere.requests


@pytest.mark.parametrize(
    "transport",
    ["Transport: RTP/AVP;unicast;source={host};server_port={port}-{port}",
     "transport:RTP/AVP/UDP;unicast;server_port={port};source={host}",
     "Tran\rsport: RTP/AVP;unicast;sour\rce={host};server_port={port}"],
)  # fmt: skip
def test_udp_goes_to_the_checked_address_only(transport):
    """FFmpeg sends packets to the `source` of the reply, to open a firewall."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.2", 0))
        host, port = elsewhere.getsockname()

        def naming(request):
            if not request.startswith("SETUP"):
                return None
            if "interleaved" in request:
                return b"RTSP/1.0 461 Unsupported Transport\r\nCSeq: {cseq}\r\n\r\n"
            line = transport.format(host=host, port=port)
            return b"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 7\r\n" + f"{line}\r\n\r\n".encode()

        with Camera(SDP, answer=naming) as camera:
            with (
                contextlib.suppress(SourceError),
                contextlib.closing(opened(camera.source().location)),
            ):
                pass
            assert any("client_port" in request for request in camera.requests)
        assert not select.select([elsewhere], [], [], 0.1)[0], "it was sent to"


def test_without_the_relay_ffmpeg_would_send_elsewhere():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.2", 0))
        host, port = elsewhere.getsockname()
        line = f"Transport: RTP/AVP;unicast;source={host};server_port={port}-{port}\r\n\r\n".encode()
        reply = b"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 7\r\n" + line
        with (
            Camera(SDP, answer=lambda request: reply if request.startswith("SETUP") else None) as camera,
            contextlib.suppress(av.FFmpegError),
        ):
            av.open(camera.source().location, options={"rtsp_transport": "udp"}, timeout=0.5)
        assert select.select([elsewhere], [], [], 5.0)[0]


def test_a_packet_before_play_that_would_hide_a_transport_ends_the_session():
    hidden = b"$\0\0\4xxxxTransport: RTP/AVP;unicast;source=127.0.0.2;server_port=9\r\n\r\n"

    def hiding(request):
        head = b"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 7\r\n"
        return head + hidden if request.startswith("SETUP") else None

    with Camera(SDP, answer=hiding) as camera:
        with pytest.raises(SourceUnreadable, match="packet before PLAY"):
            opened(camera.source().location)
        assert not camera.requests_of("PLAY")


def test_credentials_reach_the_camera_and_no_message():
    def guarded(request):
        if "Authorization" in request:
            return b"RTSP/1.0 403 Forbidden\r\nCSeq: {cseq}\r\n\r\n"
        challenge = b'WWW-Authenticate: Digest realm="c", nonce="1"\r\n\r\n'
        return b"RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\n" + challenge

    with Camera(SDP, answer=guarded) as camera:
        with pytest.raises(SourceUnavailable, match="refused the user") as caught:
            opened(camera.source("user:hush@").location)
        assert any('username="user"' in request for request in camera.requests)
        assert "hush" not in str(caught.value)


def test_a_camera_is_read_through_the_relay_and_let_go():
    with HostileCamera(encode_pictures(50), Manners(fps=50)) as camera:
        reader = opened(camera.url)
        came = [frame for frame, _ in zip(reader.frames(), range(60), strict=False) if frame is not None]
        assert len(came) > 10
        assert reader.name == "ffmpeg"
        reader.close()
        reader.close()
        assert not reader._relay._thread.is_alive()


def test_tls_is_spoken_by_the_relay_and_no_udp_is_asked_for(tmp_path, clip):
    packets = rtp_packets(map(h264_payloads, encoded(clip)))
    sdp = sdp_of("H264", encoded(clip)[0])
    with (
        Camera(sdp, interleaved(packets, 0), tls=own_certificate(tmp_path)) as camera,
        contextlib.closing(opened(camera.source().location)) as reader,
    ):
        assert any(frame is not None for frame, _ in zip(reader.frames(), range(60), strict=False))
        assert not any("client_port" in request for request in camera.requests)
