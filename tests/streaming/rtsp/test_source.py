"""The native reader of RTSP sources: a real server, a proxy that delays and damages, cameras of our own."""

import contextlib
import itertools
import random
import re
import socket
import threading
import time
from dataclasses import replace

import pytest

from lab.fixtures.hostile_camera import HOSTILE, HostileCamera, Manners, encode_pictures
from lab.fixtures.ports import free_port
from streaming.errors import SourceError, SourceInvalid, SourceUnavailable
from streaming.moment import Moment
from streaming.rtsp import session as rtsp_session
from streaming.rtsp import source as rtsp_source
from streaming.rtsp.source import RtspSource
from streaming.rtsp.source import open_rtsp as open_rtsp_reader
from streaming.sources.decoder import FrameDecoder
from streaming.sources.live import SourceLimits
from streaming.url_guard import SourcePolicy, check_source_url
from streaming.vocabulary import Clock, SourceState, StreamId
from tests.cameras import (
    IMPATIENCE,
    LOOPBACK,
    PATIENCE,
    Camera,
    encoded,
    h264_payloads,
    h265_payloads,
    interleaved,
    rtp_packets,
    sdp_of,
    without_parameter_sets,
)
from tests.servers import FRAMES, RATE, Wire, index_of, playing, write_clip


@pytest.fixture
def wire(camera):
    wire = Wire(camera[0].port)
    yield wire
    wire.close()


def url_of(wire):
    return f"rtsp://127.0.0.1:{wire.port}/live"


def test_every_frame_of_a_camera_is_delivered_in_order_with_its_times(camera, open_rtsp, seen):
    server, publisher = camera
    source = open_rtsp(server.url)
    seen.wait(lambda s: len(s.frames) >= 30)
    frames = seen.frames[:30]
    assert [frame.index for frame in frames] == list(range(30))
    first = index_of(frames[0].pixels)
    assert [index_of(frame.pixels) for frame in frames] == [(first + k) % FRAMES for k in range(30)]
    assert all(b.pts_s - a.pts_s == pytest.approx(1 / RATE) for a, b in itertools.pairwise(frames))
    assert source.status.state is SourceState.LIVE
    # Dated by its arrival: never before it was published, and soon after.
    since_s = [frame.captured_s - publisher.first_frame_s for frame in frames[-10:]]
    shown_s = [index_of(frame.pixels) / RATE for frame in frames[-10:]]
    late_s = sorted((s - at) % (FRAMES / RATE) for s, at in zip(since_s, shown_s, strict=True))
    assert late_s[0] < 0.5 / RATE


def test_a_server_that_dies_is_tried_until_it_is_back_and_indices_go_on(clip, open_rtsp, seen):
    with playing(clip) as (server, _):
        source = open_rtsp(server.url)
        seen.wait(lambda s: len(s.frames) >= 5)
        server.stop()
        seen.wait(lambda s: "refused" in s.statuses[-1].reason)
        assert seen.states[-1] is SourceState.RECONNECTING
        server.start()
        seen.wait_frames(10)
        assert source.status.state is SourceState.LIVE
        assert source.status.reconnects == 1
        frames = seen.frames
        assert [frame.index for frame in frames] == list(range(len(frames)))
        assert all(a.pts_s < b.pts_s for a, b in itertools.pairwise(frames))


def test_a_stream_that_falls_silent_is_opened_again(wire, open_rtsp, seen):
    source = open_rtsp(url_of(wire))
    seen.wait(lambda s: len(s.frames) >= 5)
    wire.flowing.clear()
    seen.wait(lambda s: s.statuses[-1].code == "source_stalled")
    assert seen.states[-1] is SourceState.RECONNECTING
    wire.flowing.set()
    seen.wait_frames(5)
    assert source.status.reconnects >= 1


def test_a_short_pause_is_not_a_stall(wire, open_rtsp, seen):
    source = open_rtsp(url_of(wire))
    seen.wait(lambda s: len(s.frames) >= 5)
    wire.flowing.clear()
    resume = threading.Timer(0.55, wire.flowing.set)
    resume.start()
    seen.wait_frames(20)
    resume.join()
    assert seen.states == [SourceState.STARTING, SourceState.LIVE]
    assert source.status.corrupt == 0


def test_damaged_packets_are_counted_and_the_stream_goes_on(wire, open_rtsp, seen):
    source = open_rtsp(url_of(wire))
    seen.wait(lambda s: len(s.frames) >= 5)
    wire.damage_every = 3
    seen.wait(lambda s: wire.damaged >= 15)
    wire.damage_every = 0
    seen.wait_frames(30)
    assert source.status.corrupt > 0
    assert source.status.state is SourceState.LIVE
    assert SourceState.FAILED not in seen.states
    frames = seen.frames[-5:]
    first = index_of(frames[0].pixels)
    assert [index_of(frame.pixels) for frame in frames] == [(first + k) % FRAMES for k in range(5)]


def test_an_unreachable_address_is_retried_and_reported(open_rtsp, seen):
    source = open_rtsp(f"rtsp://user:hush@127.0.0.1:{free_port()}/live")
    seen.wait(lambda s: s.states[-1:] == [SourceState.RECONNECTING])
    assert "refused" in source.status.reason
    assert "hush" not in source.status.reason
    assert source.status.code == SourceUnavailable.code
    assert source.stop()
    assert seen.states[-1] is SourceState.ENDED


def test_a_path_that_the_server_does_not_have_says_so(camera, open_rtsp, seen):
    open_rtsp(camera[0].url + "-not")
    seen.wait(lambda s: s.states[-1:] == [SourceState.RECONNECTING])
    assert "404" in seen.statuses[-1].reason


def test_a_refused_address_fails_at_once(camera, open_rtsp, seen):
    open_rtsp(camera[0].url, SourcePolicy())
    seen.wait(lambda s: s.states[-1:] == [SourceState.FAILED])
    assert seen.statuses[-1].code == "refused_address"


@pytest.fixture
def answering():
    """Starts a server that answers every request with a reply, {cseq} filled in, and holds the line."""
    sockets = []

    def answer(connection, reply):
        while request := connection.recv(4_096):
            cseq = re.search(rb"CSeq: *([0-9]+)", request, re.IGNORECASE)
            connection.sendall(reply.replace(b"{cseq}", cseq[1]))

    def serve(server, reply):
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            sockets.append(connection)
            threading.Thread(target=_until_closed, args=(answer, connection, reply), daemon=True).start()

    def start(reply):
        server = socket.create_server(("127.0.0.1", 0))
        sockets.append(server)
        threading.Thread(target=serve, args=(server, reply), daemon=True).start()
        return server.getsockname()[1]

    yield start
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


def _until_closed(answer, connection, reply):
    with contextlib.suppress(OSError):
        answer(connection, reply)


def test_a_camera_that_wants_a_password_says_so_and_is_left_in_peace(answering, open_rtsp, seen):
    reply = b'RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n'
    open_rtsp(f"rtsp://127.0.0.1:{answering(reply)}/live")
    seen.wait(lambda s: s.states[-1:] == [SourceState.RECONNECTING])
    assert seen.statuses[-1].code == "source_forbidden"
    assert "password" in seen.statuses[-1].reason


def test_a_silent_server_fails_within_the_timeout(answering, open_rtsp, seen):
    started_s = time.monotonic()
    open_rtsp(f"rtsp://127.0.0.1:{answering(b'')}/live", timeouts=IMPATIENCE)
    seen.wait(lambda s: s.states[-1:] == [SourceState.RECONNECTING])
    assert time.monotonic() - started_s >= IMPATIENCE.first_frame_s
    assert "did not answer" in seen.statuses[-1].reason


def test_a_server_that_speaks_something_else_is_retried(answering, open_rtsp, seen):
    open_rtsp(f"rtsp://127.0.0.1:{answering(b'SSH-2.0-OpenSSH' * 40)}/live", timeouts=IMPATIENCE)
    seen.wait(lambda s: s.states[-1:] == [SourceState.RECONNECTING])


def test_one_camera_that_dies_is_not_noticed_by_its_neighbour(clip, camera, open_rtsp, seen):
    neighbour = open_rtsp(camera[0].url)
    seen.wait(lambda s: len(s.frames) >= 3)
    with playing(clip) as (server, _):
        states = []
        source = RtspSource(StreamId("other"), lambda: check_source_url(server.url, LOOPBACK), PATIENCE)
        source.start(lambda _: None, lambda status: states.append(status.state))
        server.stop()
        seen.wait_frames(20)
        source.stop()
    assert neighbour.status.state is SourceState.LIVE
    assert neighbour.status.reconnects == 0


@pytest.fixture
def reading():
    """Opens a camera of the tests' own that sends these bytes after PLAY, and nothing more."""
    with contextlib.ExitStack() as stack:

        def start(stream, encoding="H264", picture=b"", timeouts=PATIENCE):
            camera = stack.enter_context(Camera(sdp_of(encoding, picture), stream))
            reader = open_rtsp_reader(camera.source(), timeouts)
            return camera, stack.enter_context(contextlib.closing(reader))

        yield start


def shown(reader, count):
    """The next `count` pictures; fails if the reader looks for them in vain too often."""
    pictures, looks = [], 0
    for picture in reader.frames():
        pictures += [picture] if picture is not None else []
        looks += picture is None
        if len(pictures) == count:
            return pictures
        assert looks < 20, f"{len(pictures)} of {count} pictures came"
    return pictures


def test_a_frame_is_delivered_without_a_following_packet(clip, reading):
    """The point of it all: FFmpeg would wait for the next picture, and there is none."""
    first = encoded(clip)[0]
    _, reader = reading(interleaved(rtp_packets([h264_payloads(first)])))
    [picture] = shown(reader, 1)
    assert index_of(picture.pixels) == 0
    assert picture.raw_pts_s == 0.0
    assert reader.corrupt == 0


def test_parameter_sets_of_the_description_are_enough(clip, reading):
    first = encoded(clip)[0]
    bare = h264_payloads(without_parameter_sets(first))
    _, reader = reading(interleaved(rtp_packets([bare])), picture=first)
    assert index_of(shown(reader, 1)[0].pixels) == 0


def test_h265_is_read_as_h264_is(tmp_path, reading):
    pictures = encoded(write_clip(tmp_path / "clip.mp4", codec="libx265"))
    _, reader = reading(interleaved(rtp_packets(map(h265_payloads, pictures))), "H265", pictures[0])
    came = shown(reader, FRAMES - 6)
    assert [index_of(picture.pixels) for picture in came] == list(range(FRAMES - 6))
    assert reader.corrupt == 0


def test_h265_of_a_real_server_is_read(tmp_path, open_rtsp, seen):
    with playing(write_clip(tmp_path / "clip.mp4", codec="libx265")) as (server, _):
        source = open_rtsp(server.url)
        seen.wait(lambda s: len(s.frames) >= 30)
    frames = seen.frames[5:30]
    first = index_of(frames[0].pixels)
    assert [index_of(frame.pixels) for frame in frames] == [(first + k) % FRAMES for k in range(25)]
    assert source.status.corrupt == 0


def test_a_lost_packet_is_counted_and_decoding_continues_without_an_idr(clip, reading):
    packets = rtp_packets(map(h264_payloads, encoded(clip)[:10]))
    del packets[5]
    _, reader = reading(interleaved(packets))
    came = [round(picture.raw_pts_s * RATE) for picture in shown(reader, len(packets))]
    assert came == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert reader.corrupt == 1


@pytest.mark.parametrize("seed", range(8))
def test_a_broken_stream_raises_nothing_but_source_errors(clip, reading, monkeypatch, seed):
    monkeypatch.setattr(rtsp_source, "POLL_S", 0.01)
    rng = random.Random(seed)
    stream = bytearray(interleaved(rtp_packets(map(h264_payloads, encoded(clip)[:20]))))
    for _ in range(rng.choice((3, 30, 300))):
        stream[rng.randrange(len(stream))] = rng.randrange(256)
    with contextlib.suppress(SourceError):
        _, reader = reading(bytes(stream))
        for _ in itertools.islice(reader.frames(), 60):
            pass


def test_a_frame_above_max_pixels_is_not_decoded(clip, reading):
    small = replace(PATIENCE, max_pixels=1_000)
    _, reader = reading(interleaved(rtp_packets(map(h264_payloads, encoded(clip)[:3]))), timeouts=small)
    for picture in reader.frames():
        assert picture is None
        if reader.corrupt == 3:
            return


def test_a_server_without_video_says_so():
    sdp = "v=0\r\nm=audio 0 RTP/AVP 0\r\na=control:track0\r\n"
    with Camera(sdp) as camera, pytest.raises(SourceInvalid, match="no video"):
        open_rtsp_reader(camera.source(), PATIENCE)


def test_srtp_is_named_with_the_url_that_plays_without():
    sdp = sdp_of("H264").replace("m=video 0 RTP/AVP", "m=video 0 RTP/SAVP")
    with Camera(sdp) as camera, pytest.raises(SourceInvalid, match=r"SRTP.*without|SRTP.*\?enableSrtp off"):
        open_rtsp_reader(camera.source(), PATIENCE)


def test_waiting_for_a_key_frame_is_a_state_and_no_failure(open_rtsp, seen):
    """The group of 50 pictures has its IDR frames 2 s apart; patience for the first picture is 0.3 s."""
    with HostileCamera(encode_pictures(50, gop=50), Manners(starts_at=1)) as camera:
        source = open_rtsp(camera.url, timeouts=SourceLimits(first_frame_s=0.3, stall_s=0.3))
        seen.wait(lambda s: SourceState.WAITING in s.states)
        assert "key frame" in source.status.reason
        assert source.status.code == ""
        seen.wait_frames(5)
        assert seen.states == [SourceState.STARTING, SourceState.WAITING, SourceState.LIVE]
        assert source.status.reconnects == 0


def test_pictures_that_are_rarer_than_the_timeout_are_no_stall(pictures, open_rtsp, seen, monkeypatch):
    monkeypatch.setattr(rtsp_source, "POLL_S", 0.05)
    monkeypatch.setattr(rtsp_session, "PROBE_S", 0.1)
    with HostileCamera(pictures[:1], Manners(fps=1.0)) as camera:
        source = open_rtsp(camera.url, timeouts=SourceLimits(first_frame_s=2.0, stall_s=0.4))
        seen.wait(lambda s: len(s.frames) >= 4)
        assert source.status.reconnects == 0
        assert SourceState.RECONNECTING not in seen.states
        # Once it is known how rare they are, the state does not change for it.
        assert seen.states.count(SourceState.WAITING) == 1


def test_a_wall_clock_that_jumps_by_an_hour_skips_no_picture(pictures, open_rtsp, seen, monkeypatch):
    """With every read it is set, forth and back, while pictures wait for a decoder that is a little slow."""
    hours = itertools.cycle((0.0, 3600.0, 0.0))
    decode = FrameDecoder.decode

    class Jumping(Moment):
        @classmethod
        def now(cls):
            now = Moment.now()
            return Moment(now.wall_s + next(hours), now.monotonic_s)

    def slowly(self, packet, arrived_s):
        time.sleep(0.06)
        return decode(self, packet, arrived_s)

    monkeypatch.setattr(FrameDecoder, "decode", slowly)
    monkeypatch.setattr(rtsp_source, "Moment", Jumping)
    with HostileCamera(pictures, Manners(clock_offset_s=0.0)) as camera:
        source = open_rtsp(camera.url)
        seen.wait_frames(20)
        assert [frame.index for frame in seen.frames[:20]] == list(range(20))
        assert source.status.reconnects == 0


def test_a_slow_decoder_skips_to_the_next_key_frame_and_shows_the_true_age(
    pictures, open_rtsp, seen, monkeypatch
):
    """100 ms for a picture of 40 ms: without skipping, the tenth second would be shown after 25 s."""
    decode = FrameDecoder.decode

    def slowly(self, packet, arrived_s):
        time.sleep(0.1)
        return decode(self, packet, arrived_s)

    monkeypatch.setattr(FrameDecoder, "decode", slowly)
    monkeypatch.setattr(rtsp_source, "SKIP_S", 0.5)
    with HostileCamera(pictures, Manners(clock_offset_s=0.0)) as camera:
        source = open_rtsp(camera.url)
        seen.wait(lambda s: source.status.frames > len(s.frames) + 10)  # skipped pictures are counted
        seen.wait_frames(5)
        assert source.status.reconnects == 0
        frames = [frame for frame in seen.frames if frame.clock is Clock.RTCP]
        assert time.time() - frames[-1].captured_s >= 0.1
        shown_s, captured_s = (
            frames[-1].pts_s - frames[0].pts_s,
            frames[-1].captured_s - frames[0].captured_s,
        )
        assert captured_s == pytest.approx(shown_s, abs=0.05), (
            "captured_s follows the camera, not the decoder"
        )


@pytest.mark.parametrize(
    ("ahead_s", "clock"), [(0.0, Clock.RTCP), (7.0, Clock.ARRIVAL), (-3.0, Clock.ARRIVAL)]
)
def test_sender_reports_give_the_capture_time_where_the_cameras_clock_is_sane(
    ahead_s, clock, pictures, open_rtsp, seen
):
    with HostileCamera(pictures, Manners(clock_offset_s=ahead_s)) as camera:
        open_rtsp(camera.url)
        # A report precedes the first frame. On a busy machine it, and some after it, may come too late.
        seen.wait(lambda s: any(frame.clock is clock for frame in s.frames))
        frame = next(frame for frame in seen.frames if frame.clock is clock)
        assert abs(time.time() - frame.captured_s) < 2.0


def test_a_camera_that_hangs_up_on_get_parameter_is_kept_alive_by_options(
    pictures, open_rtsp, seen, monkeypatch
):
    monkeypatch.setattr(rtsp_session, "KEEP_ALIVE_S", (0.2, 0.2))
    with HostileCamera(pictures, Manners(fatal_method="GET_PARAMETER")) as camera:
        source = open_rtsp(camera.url)
        seen.wait(lambda s: source.status.reconnects == 1)
        asked = len(camera.requests)
        seen.wait(lambda s: any("OPTIONS" in request for request in camera.requests[asked + 4 :]))
        seen.wait_frames(5)
        assert source.status.reconnects == 1
        assert len([request for request in camera.requests if "GET_PARAMETER" in request]) == 1


def test_a_hostile_camera_is_followed(pictures, open_rtsp, seen):
    """`saccade bench camera` is the long version."""
    with HostileCamera(pictures, Manners(fps=50, faults=HOSTILE), seed=4) as camera:
        source = open_rtsp(camera.url)
        seen.wait(lambda s: len(s.frames) >= 75)
        assert (source.status.reader, source.status.corrupt > 0) == ("native", True)
        frames = seen.frames
        assert [frame.index for frame in frames] == list(range(len(frames)))
        assert all(a.pts_s < b.pts_s for a, b in itertools.pairwise(frames))
