"""The session against a scripted server; test_source.py has a real server."""

import contextlib
import re
import socket
import threading
import time
from contextlib import closing

import pytest

from streaming.errors import (
    InvalidStream,
    SourceForbidden,
    SourceStalled,
    SourceUnavailable,
    SourceUnreadable,
)
from streaming.rtsp import session as rtsp_session
from streaming.rtsp.session import RtspSession
from tests.cameras import Camera, interleaved, own_certificate, sdp_of

SDP = sdp_of("H264")


def opened(camera, timeout_s=5.0, userinfo=""):
    return closing(RtspSession(camera.source(userinfo), timeout_s))


def reply(status, *headers):
    lines = [f"RTSP/1.0 {status}", "CSeq: {cseq}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_session_is_asked_for_set_up_played_and_ended():
    with Camera(SDP, interleaved([b"one", b"two"])) as camera:
        with opened(camera) as session:
            assert session.describe() == SDP
            session.play("track1")
            assert received(session, 2) == [b"one", b"two"]
        wait_for(camera, "TEARDOWN")
        assert [request.split()[0] for request in camera.requests] == [
            *("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN")
        ]
        [setup], [play] = camera.requests_of("SETUP"), camera.requests_of("PLAY")
        assert setup.split()[1].endswith("/live/track1")
        assert "RTP/AVP/TCP;unicast;interleaved=0-1" in setup
        assert "Session: 7\r\n" in play


def received(session, count):
    packets = []
    while len(packets) < count:
        packets += session.receive(0.5)
    return packets


def wait_for(camera, method, count=1):
    deadline_s = time.monotonic() + 10
    while len(camera.requests_of(method)) < count:
        assert time.monotonic() < deadline_s, camera.requests
        time.sleep(0.005)


def test_packets_that_overtake_the_reply_to_play_are_not_lost():
    def early(request):
        return interleaved([b"key"]) + reply("200 OK") if request.startswith("PLAY") else None

    with Camera(SDP, answer=early) as camera, opened(camera) as session:
        session.describe()
        session.play("track1")
        assert session.receive(0.5) == [b"key"]


def test_the_channels_are_the_servers_choice_and_others_are_passed_over():
    def other(request):
        transport = "Transport: RTP/AVP/TCP;unicast;interleaved=4-5"
        return reply("200 OK", "Session: 1", transport) if request.startswith("SETUP") else None

    stream = interleaved([b"wrong"], 0) + interleaved([b"right"], 4) + interleaved([b"report"], 5)
    with Camera(SDP, stream, other) as camera, opened(camera) as session:
        session.describe()
        session.play("track1")
        assert received(session, 2) == [b"right", b"report"]


def test_nothing_in_time_is_no_packet_and_no_error():
    with Camera(SDP) as camera, opened(camera) as session:
        session.describe()
        session.play("track1")
        assert session.receive(0.01) == []


def test_keep_alive_requests_are_sent(monkeypatch):
    monkeypatch.setattr(rtsp_session, "KEEP_ALIVE_S", (0.0, 0.0))
    with Camera(SDP) as camera, opened(camera) as session:
        session.describe()
        session.play("track1")
        session.receive(0.01)
        wait_for(camera, "GET_PARAMETER")
        assert "Session: 7\r\n" in camera.requests_of("GET_PARAMETER")[0]


def test_credentials_are_sent_after_a_challenge_and_challenged_once():
    def guarded(request):
        if "Authorization" in request:
            return None
        return reply("401 Unauthorized", 'WWW-Authenticate: Digest realm="cam", nonce="1"')

    with Camera(SDP, answer=guarded) as camera, opened(camera, userinfo="us%40er:p%3Aw@") as session:
        session.describe()
        session.play("track1")
        assert len(camera.requests_of("OPTIONS")) == 2
        assert len(camera.requests_of("DESCRIBE")) == 1
        assert 'username="us@er"' in camera.requests_of("PLAY")[0]
        assert not any("us%40er" in request or "p%3Aw" in request for request in camera.requests)


def test_a_keep_alive_with_a_stale_nonce_uses_the_new_nonce_next_time(monkeypatch):
    monkeypatch.setattr(rtsp_session, "KEEP_ALIVE_S", (0.0, 0.0))

    def ageing(request):
        if "GET_PARAMETER" in request and 'nonce="2"' not in request:
            return reply("401 Unauthorized", 'WWW-Authenticate: Digest realm="cam", nonce="2"')
        return None

    with Camera(SDP, answer=ageing) as camera, opened(camera, userinfo="user:p@") as session:
        session.describe()
        session.play("track1")
        deadline_s = time.monotonic() + 10
        while not any('nonce="2"' in request for request in camera.requests):
            assert time.monotonic() < deadline_s
            assert session.receive(0.05) == []


def test_a_wrong_password_raises_source_forbidden_after_one_retry():
    def never(request):
        return reply("401 Unauthorized", 'WWW-Authenticate: Basic realm="cam"')

    with Camera(SDP, answer=never) as camera, opened(camera, userinfo="user:hush@") as session:
        with pytest.raises(SourceForbidden, match="password") as caught:
            session.describe()
        assert "hush" not in str(caught.value)
        assert len(camera.requests) == 2


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        ("403 Forbidden", SourceForbidden, "password"),
        ("404 Not Found", SourceUnavailable, "404"),
        ("461 Unsupported Transport", SourceUnreadable, "461 'Unsupported Transport'"),
        ("500", SourceUnreadable, "500"),
    ],
)
def test_every_error_status_maps_to_a_source_error(status, kind, says):
    def refusing(request):
        return reply(status) if request.startswith("DESCRIBE") else None

    with Camera(SDP, answer=refusing) as camera, opened(camera) as session:
        with pytest.raises(kind, match=says) as caught:
            session.describe()
        assert type(caught.value) is kind


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "305 Use Proxy"])
def test_a_redirect_is_not_followed(status):
    with Camera(SDP) as elsewhere:
        place = elsewhere.source("user:hush@").location

        def redirecting(request):
            return reply(status, f"Location: {place}") if request.startswith("DESCRIBE") else None

        with Camera(SDP, answer=redirecting) as camera, opened(camera) as session:
            with pytest.raises(SourceUnavailable, match="redirects") as caught:
                session.describe()
            assert "hush" not in str(caught.value)
        assert elsewhere.requests == []


@pytest.mark.parametrize("length", [60, 200, 500, 3_000])
@pytest.mark.parametrize("line", ["302 Found\r\nLocation: {}", "500 see {}"])
def test_a_password_in_a_servers_text_is_not_shown_whatever_its_length(line, length):
    text = line.format(f"rtsp://user:{'hush' * (length // 4)}@127.0.0.1/live")
    with Camera(SDP, answer=lambda _: reply(text)) as camera, opened(camera) as session:
        with pytest.raises(SourceUnavailable) as caught:
            session.describe()
        assert "hush" not in str(caught.value)
        assert len(str(caught.value)) < 500


def test_no_address_that_a_server_sends_is_connected_to():
    with Camera(SDP) as elsewhere:
        base = elsewhere.source().location

        def naming(request):
            if not request.startswith("DESCRIBE"):
                return None
            body = SDP.replace("control:track1", f"control:{base}/track1")
            head = reply("200 OK", f"Content-Base: {base}/", f"Content-Length: {len(body)}")
            return head + body.encode()

        with Camera(SDP, answer=naming) as camera, opened(camera) as session:
            session.describe()
            session.play(f"{base}/track1")
            assert camera.requests_of("SETUP")[0].split()[1] == f"{base}/track1"
        assert elsewhere.requests == []


def test_the_address_that_was_judged_is_the_one_connected_to():
    with Camera(SDP) as camera:
        pinned = camera.source()
        moved = pinned.location.replace("127.0.0.1", "no-such-host.invalid")
        source = type(pinned)("rtsp", moved, moved, "no-such-host.invalid", pinned.port, pinned.address)
        with closing(RtspSession(source, 5.0)) as session:
            assert session.describe() == SDP


@pytest.mark.parametrize(
    "hostile",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 4294967296\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * 20_000,
    ],
)
def test_a_server_without_rtsp_is_invalid(hostile):
    with (
        Camera(SDP, answer=lambda _: hostile) as camera,
        opened(camera) as session,
        pytest.raises(SourceUnreadable, match="does not speak RTSP"),
    ):
        session.describe()


@pytest.mark.parametrize(
    "useless", [b"RTSP/1.0 100 Continue\r\nCSeq: {cseq}\r\n\r\n", interleaved([b"x"] * 1_000), b""]
)
def test_all_of_the_opening_has_one_deadline(useless):
    """An answer to something else, or packets instead of one, do not buy more time."""
    with (
        Camera(SDP, answer=lambda _: useless) as camera,
        opened(camera, timeout_s=0.2) as session,
        pytest.raises(SourceStalled, match="did not answer"),
    ):
        session.describe()


def test_packets_before_the_reply_to_play_are_bounded(monkeypatch):
    monkeypatch.setattr(rtsp_session, "MAX_EARLY_BYTES", 1_000)

    def flooding(request):
        many = interleaved([b"x" * 100] * 50)
        return many + reply("200 OK") if request.startswith("PLAY") else None

    with Camera(SDP, answer=flooding) as camera, opened(camera) as session:
        session.describe()
        session.play("track1")
        assert len(session.receive(0.5)) == 10


def test_a_server_that_hangs_up_is_unavailable():
    with Camera(SDP) as camera, opened(camera) as session:
        session.describe()
        session.play("track1")
        camera.close()
        with pytest.raises(SourceUnavailable):
            for _ in range(10):
                session.receive(0.5)


def test_a_user_cannot_write_our_headers():
    with Camera(SDP) as camera, pytest.raises(InvalidStream, match="control characters"):
        opened(camera, userinfo="a%0d%0aX-Own:p@")


def test_tls_is_spoken_and_a_cameras_own_certificate_is_taken(tmp_path):
    with Camera(SDP, tls=own_certificate(tmp_path)) as camera, opened(camera) as session:
        assert session.describe() == SDP
        assert re.match(r"OPTIONS rtsps://127\.0\.0\.1:\d+/live ", camera.requests[0])


def test_tls_with_a_plain_server_fails_within_the_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent, Camera(SDP) as camera:
        plain = camera.source()
        port = silent.getsockname()[1]
        source = type(plain)("rtsps", "rtsps://127.0.0.1/live", "shown", "127.0.0.1", port, "127.0.0.1")
        with pytest.raises(SourceUnavailable, match="cannot be reached"):
            RtspSession(source, 0.2)


def answered(camera):
    """Describes and plays the camera, and returns the first packet."""
    with opened(camera) as session:
        session.describe()
        session.play("track1")
        return received(session, 1)


@pytest.mark.parametrize("status", ["404 Not Found", "501 Not Implemented", "405 Method Not Allowed", "454"])
def test_options_need_not_be_implemented(status):
    def refusing(request):
        return reply(status) if request.startswith("OPTIONS") else None

    with Camera(SDP, interleaved([b"x"]), refusing) as camera:
        assert answered(camera) == [b"x"]


@pytest.mark.parametrize("cseq", [b"", b"CSeq: none\r\n", b"CSeq: 99\r\n", b"cseq:{cseq}\r\n"])
def test_a_reply_may_have_any_number_or_none(cseq, monkeypatch):
    monkeypatch.setattr(rtsp_session, "LATE_CSEQ_S", 0.05)

    def misnumbered(request):
        method = request.split()[0]
        body = SDP.encode() if method == "DESCRIBE" else b""
        head = b"RTSP/1.0 200 OK\r\n" + cseq + b"Content-Length: %d\r\n\r\n" % len(body)
        return head + body + (interleaved([b"x"]) if method == "PLAY" else b"")

    with Camera(SDP, answer=misnumbered) as camera:
        assert answered(camera) == [b"x"]


def test_a_reply_to_play_with_a_wrong_number_is_taken_while_packets_flow(monkeypatch):
    """The camera sends every 20 ms, and hangs up after ten seconds."""
    monkeypatch.setattr(rtsp_session, "LATE_CSEQ_S", 0.1)
    ended = threading.Event()

    def stream():
        with contextlib.suppress(OSError):
            for _ in range(500):
                if ended.wait(0.02):
                    return
                camera.send(interleaved([b"x"]))
        camera.hang_up()

    sender = threading.Thread(target=stream)

    def misnumbered(request):
        if not request.startswith("PLAY"):
            return None
        sender.start()
        return b"RTSP/1.0 200 OK\r\nCSeq: 99\r\n\r\n"

    with Camera(SDP, answer=misnumbered) as camera, opened(camera, timeout_s=60.0) as session:
        session.describe()
        session.play("track1")
        assert received(session, 1)[0] == b"x"
        ended.set()
        sender.join()


def test_a_repeated_reply_is_not_taken_for_the_next_requests():
    def repeating(request):
        return reply("200 OK") * 2 if request.startswith("OPTIONS") else None

    with Camera(SDP, interleaved([b"x"]), repeating) as camera:
        assert answered(camera) == [b"x"]


def test_a_nonce_that_is_stale_at_once_is_replaced():
    def impatient(request):
        if 'nonce="2"' in request:
            return None
        stale = ", stale=TRUE" if "Authorization" in request else ""
        nonce = 2 if stale else 1
        return reply("401 Unauthorized", f'WWW-Authenticate: Digest realm="c", nonce="{nonce}"{stale}')

    with Camera(SDP, answer=impatient) as camera, opened(camera, userinfo="user:p@") as session:
        assert session.describe() == SDP


@pytest.mark.parametrize("base", ["", "/live/", "live", "http://192.0.2.1/", "rtsp:///live"])
def test_a_content_base_that_is_no_url_is_passed_over(base):
    def odd(request):
        if not request.startswith("DESCRIBE"):
            return None
        return reply("200 OK", f"Content-Base: {base}", f"Content-Length: {len(SDP)}") + SDP.encode()

    with Camera(SDP, answer=odd) as camera, opened(camera) as session:
        session.describe()
        session.play("track1")
        assert camera.requests_of("SETUP")[0].split()[1] == camera.source().location + "/track1"


@pytest.mark.parametrize(
    ("method", "status"),
    [("OPTIONS", 200), ("GET_PARAMETER", 200), ("SET_PARAMETER", 200), ("ANNOUNCE", 501)],
)
def test_a_request_of_the_server_is_answered(method, status):
    asked = f"{method} * RTSP/1.0\r\nCSeq: 41\r\n\r\n".encode()
    with Camera(SDP, asked + interleaved([b"x"])) as camera, opened(camera) as session:
        session.describe()
        session.play("track1")
        assert received(session, 1) == [b"x"]
        wait_for(camera, f"RTSP/1.0 {status}")
        assert "CSeq: 41\r\n" in camera.requests[-1]


def test_a_get_parameter_that_ends_the_connection_is_not_sent_again(monkeypatch):
    monkeypatch.setattr(rtsp_session, "KEEP_ALIVE_S", (0.0, 0.0))
    fatal_methods = set()
    with Camera(SDP, answer=lambda request: b"" if "GET_PARAMETER" in request else None) as camera:
        with closing(RtspSession(camera.source(), 5.0, fatal_methods)) as session:
            session.describe()
            session.play("track1")
            session.receive(0.01)
            wait_for(camera, "GET_PARAMETER")
            camera.hang_up()
            with pytest.raises(SourceUnavailable):
                for _ in range(10):
                    session.receive(0.5)
        assert fatal_methods == {"GET_PARAMETER"}
        with closing(RtspSession(camera.source(), 5.0, fatal_methods)) as session:
            session.describe()
            session.play("track1")
            session.receive(0.01)
            wait_for(camera, "OPTIONS", 3)
        assert len(camera.requests_of("GET_PARAMETER")) == 1


def test_a_get_parameter_that_is_refused_is_replaced_by_options(monkeypatch):
    monkeypatch.setattr(rtsp_session, "KEEP_ALIVE_S", (0.0, 0.0))

    def refusing(request):
        return reply("501 Not Implemented") if request.startswith("GET_PARAMETER") else None

    with Camera(SDP, answer=refusing) as camera, opened(camera) as session:
        session.describe()
        session.play("track1")
        while len(camera.requests_of("OPTIONS")) < 2:
            session.receive(0.05)


def test_a_silent_server_is_asked_for_a_sign_of_life(monkeypatch):
    monkeypatch.setattr(rtsp_session, "PROBE_S", 0.05)
    with Camera(SDP) as camera, opened(camera) as session:
        session.describe()
        session.play("track1")
        before_s = session.last_received_s
        while session.last_received_s == before_s:
            session.receive(0.05)
        assert camera.requests_of("GET_PARAMETER")


def test_a_server_that_hangs_up_before_it_plays_may_suit_another_reader():
    with Camera(SDP) as camera, opened(camera) as session:
        session.describe()
        camera.hang_up()
        with pytest.raises(SourceUnreadable, match="hung up"):
            session.play("track1")
