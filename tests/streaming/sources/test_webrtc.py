import asyncio
import itertools
import threading
import time
from fractions import Fraction

import aioice.ice
import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from streaming.errors import Conflict, InvalidStream, LimitReached, NotFound, ServiceUnavailable
from streaming.sources import webrtc
from streaming.sources.live import Patience
from streaming.sources.peer import new_connection, offering
from streaming.sources.webrtc import WhepOut, WhipIngest, rtp_ticks
from streaming.vocabulary import Clock, Frame, SourceState, StreamId

LOOPBACK = ["127.0.0.1"]
ID = StreamId("browser")


def red_picture(width=320, height=192):
    pixels = np.full((height, width, 3), 40, np.uint8)
    pixels[40:120, 60:160] = (220, 30, 30)
    return pixels


class Camera(MediaStreamTrack):
    """A browser's camera: the red picture at `fps`, until it is stopped or paused."""

    kind = "video"

    def __init__(self, fps=30, pixels=None):
        super().__init__()
        self.fps, self.sent = fps, 0
        self.running = asyncio.Event()
        self.running.set()
        self.pixels = red_picture() if pixels is None else pixels

    async def recv(self):
        await asyncio.sleep(1 / self.fps)
        await self.running.wait()
        frame = av.VideoFrame.from_ndarray(self.pixels, format="rgb24")
        frame.pts, frame.time_base = self.sent * 90_000 // self.fps, Fraction(1, 90_000)
        self.sent += 1
        return frame


class Still(Camera):
    """Sends one picture and no more."""

    async def recv(self):
        frame = await super().recv()
        self.running.clear()
        return frame


async def offer_of(connection):
    with offering(LOOPBACK):
        await connection.setLocalDescription(await connection.createOffer())
    return connection.localDescription.sdp


class Peer:
    """A browser, as far as SDP and media go."""

    def __init__(self):
        self.connection = new_connection()

    async def offer_to_publish(self, camera=None, codec=None):
        transceiver = self.connection.addTransceiver(camera or Camera(), direction="sendonly")
        if codec is not None:
            capabilities = transceiver.sender.getCapabilities("video").codecs
            transceiver.setCodecPreferences([c for c in capabilities if c.mimeType == codec])
        return await offer_of(self.connection)

    async def offer_to_watch(self):
        self.connection.addTransceiver("video", direction="recvonly")
        return await offer_of(self.connection)

    async def accept(self, sdp):
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def picture(self):
        """The next picture watched, RGB."""
        track = self.connection.getTransceivers()[0].receiver.track
        frame = await asyncio.wait_for(track.recv(), 10)
        return frame.to_ndarray(format="rgb24"), frame.time


@pytest.fixture
async def peer():
    peer = Peer()
    yield peer
    await peer.connection.close()


@pytest.fixture
async def other_peer():
    peer = Peer()
    yield peer
    await peer.connection.close()


class Seen:
    """What a source delivered and reported."""

    def __init__(self):
        self.frames, self.states = [], []

    def states_of(self):
        return [status.state for status in self.states]


async def until(condition, timeout_s=10.0):
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        await asyncio.sleep(0.01)


@pytest.fixture
async def ingest():
    seen = Seen()
    source = WhipIngest(ID, LOOPBACK, Patience(first_picture_s=5.0, stall_s=0.5))
    source.seen = seen
    source.start(seen.frames.append, seen.states.append)
    yield source
    source.stop()
    await until(lambda: source._publisher is None)


def is_red_picture(pixels):
    inside, outside = pixels[60:100, 80:140].mean((0, 1)), pixels[150:, 200:].mean((0, 1))
    return np.abs(inside - (220, 30, 30)).max() < 25 and np.abs(outside - 40).max() < 15


@pytest.mark.parametrize("codec", ["video/VP8", "video/H264"])
async def test_what_a_browser_publishes_becomes_frames(ingest, peer, codec):
    _, answer = await ingest.offer(await peer.offer_to_publish(codec=codec))
    await peer.accept(answer)
    await until(lambda: len(ingest.seen.frames) >= 15)
    frames = ingest.seen.frames
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})
    steps = np.diff([frame.pts_s for frame in frames])
    assert (steps > 0).all()
    assert np.median(steps) == pytest.approx(1 / 30, abs=0.005)
    assert frames[-1].clock is Clock.ARRIVAL
    assert abs(frames[-1].captured_s - time.time()) < 5
    assert is_red_picture(frames[-1].pixels)
    assert frames[-1].pixels.dtype == np.uint8
    assert frames[-1].pixels.flags.c_contiguous
    assert ingest.status.state is SourceState.LIVE


async def test_a_picture_does_not_wait_for_the_next_one(ingest, peer):
    _, answer = await ingest.offer(await peer.offer_to_publish(Still()))
    await peer.accept(answer)
    await until(lambda: ingest.seen.frames)


async def test_only_the_set_addresses_are_offered(ingest, peer):
    _, answer = await ingest.offer(await peer.offer_to_publish())
    candidates = [line.split()[4] for line in answer.splitlines() if line.startswith("a=candidate:")]
    assert candidates
    assert set(candidates) == {"127.0.0.1"}


def test_connections_that_are_not_ours_offer_what_they_always_did():
    assert "127.0.0.1" not in aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False)


async def test_a_second_publisher_is_refused_and_the_first_goes_on(ingest, peer, other_peer):
    _, answer = await ingest.offer(await peer.offer_to_publish())
    await peer.accept(answer)
    with pytest.raises(Conflict, match="already"):
        await ingest.offer(await other_peer.offer_to_publish())
    await until(lambda: len(ingest.seen.frames) >= 5)


async def test_a_session_ends_by_its_id_only_and_another_publisher_may_follow(ingest, peer, other_peer):
    session_id, answer = await ingest.offer(await peer.offer_to_publish())
    await peer.accept(answer)
    await until(lambda: len(ingest.seen.frames) >= 5)
    with pytest.raises(NotFound):
        await ingest.end("another")
    await ingest.end(session_id)
    with pytest.raises(NotFound):
        await ingest.end(session_id)
    await until(lambda: ingest.status.state is SourceState.RECONNECTING)
    assert "left" in ingest.status.reason
    before = len(ingest.seen.frames)
    _, answer = await ingest.offer(await other_peer.offer_to_publish())
    await other_peer.accept(answer)
    await until(lambda: len(ingest.seen.frames) > before + 3)
    frames = ingest.seen.frames
    assert all(a.index < b.index and a.pts_s < b.pts_s for a, b in itertools.pairwise(frames))
    assert ingest.status.reconnects == 1


async def test_a_publisher_who_hangs_up_is_noticed(ingest, peer):
    _, answer = await ingest.offer(await peer.offer_to_publish())
    await peer.accept(answer)
    await until(lambda: len(ingest.seen.frames) >= 3)
    await peer.connection.close()
    await until(lambda: ingest.status.state is SourceState.RECONNECTING)


async def test_a_publisher_who_falls_silent_makes_room_for_another(ingest, peer):
    camera = Camera()
    _, answer = await ingest.offer(await peer.offer_to_publish(camera))
    await peer.accept(answer)
    await until(lambda: len(ingest.seen.frames) >= 3)
    camera.running.clear()
    await until(lambda: ingest.status.code == "source_stalled")
    assert ingest.status.state is SourceState.RECONNECTING


async def test_a_publisher_who_never_connects_makes_room_for_another(peer):
    source = WhipIngest(ID, LOOPBACK, Patience(first_picture_s=0.1, stall_s=0.5))
    seen = Seen()
    source.start(seen.frames.append, seen.states.append)
    await source.offer(await peer.offer_to_publish())
    await until(lambda: SourceState.RECONNECTING in seen.states_of())
    source.stop()


async def test_a_stream_waits_for_its_publisher_and_says_so(ingest):
    await until(lambda: ingest.status.reason == "Waiting for a publisher.")
    assert ingest.status.state is SourceState.STARTING


@pytest.mark.parametrize(
    "sdp",
    ["", "hello", "v=0", "v=0\r\n" + "x" * 70_000, "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
     "v=0\r\nm=video", "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
     "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n",
     "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=sendonly\r\n",
     "v=0\r\na=group:BUNDLE\r\na=ssrc:x\r\nm=video 9 RTP 1\r\na=rtpmap:q\r\na=candidate:x\r\n"],
)  # fmt: skip
async def test_what_is_no_offer_is_refused_and_leaves_room_for_one_that_is(ingest, peer, sdp):
    with pytest.raises(InvalidStream):
        await ingest.offer(sdp)
    whep = WhepOut(LOOPBACK)
    with pytest.raises(InvalidStream):
        await whep.offer(sdp)
    assert whep.viewers == 0
    await ingest.offer(await peer.offer_to_publish())


async def test_an_offer_in_the_wrong_direction_is_refused(ingest, peer, other_peer):
    with pytest.raises(InvalidStream, match="send"):
        await ingest.offer(await peer.offer_to_watch())
    with pytest.raises(InvalidStream, match="takes no video"):
        await WhepOut(LOOPBACK).offer(await other_peer.offer_to_publish())


async def test_a_codec_that_is_not_spoken_is_refused(ingest, peer):
    sdp = (await peer.offer_to_publish(codec="video/VP8")).replace("VP8/90000", "VP7/90000")
    with pytest.raises(InvalidStream, match="VP8 or H"):
        await ingest.offer(sdp)


async def test_sound_is_declined(ingest, peer):
    peer.connection.addTransceiver("audio", direction="sendrecv")
    _, answer = await ingest.offer(await peer.offer_to_publish())
    audio = answer[answer.index("m=audio") :].partition("m=video")[0]
    assert "a=inactive" in audio


async def test_a_stream_that_is_being_removed_takes_no_publisher(ingest, peer):
    ingest.stop()
    with pytest.raises(ServiceUnavailable):
        await ingest.offer(await peer.offer_to_publish())
    assert ingest.status.state is SourceState.ENDED


async def test_stopping_hangs_up_on_the_publisher(ingest, peer):
    _, answer = await ingest.offer(await peer.offer_to_publish())
    await peer.accept(answer)
    await until(lambda: ingest.seen.frames)
    assert await asyncio.to_thread(ingest.stop)
    await until(lambda: peer.connection.connectionState in ("closed", "failed"))


async def test_a_consumer_that_is_slow_piles_nothing_up(peer):
    release = threading.Event()
    frames = []

    def slowly(frame):
        frames.append(frame)
        release.wait()

    source = WhipIngest(ID, LOOPBACK, Patience())
    source.start(slowly, lambda _: None)
    camera = Camera(fps=100)
    _, answer = await source.offer(await peer.offer_to_publish(camera))
    await peer.accept(answer)
    await until(lambda: frames)
    sent = camera.sent
    await until(lambda: camera.sent > sent + 60)
    receiver = webrtc._video_receiver(source._publisher.connection)
    assert receiver.track._queue.qsize() <= 1
    release.set()
    await until(lambda: len(frames) >= 3)
    assert frames[2].index - frames[0].index > 40
    source.stop()
    await until(lambda: source._publisher is None)


# WHEP


def frame_of(index, pixels=None):
    pixels = red_picture() if pixels is None else pixels
    return Frame(ID, index, pixels, index / 30, time.time(), Clock.ARRIVAL)


async def show(whep, pixels=None, fps=30):
    index = 0
    while True:
        whep.push(frame_of(index, pixels))
        index += 1
        await asyncio.sleep(1 / fps)


@pytest.fixture
async def whep():
    whep = WhepOut(LOOPBACK, max_viewers=2)
    yield whep
    await whep.close()


@pytest.fixture
async def showing(whep):
    task = asyncio.create_task(show(whep))
    yield whep
    task.cancel()
    await asyncio.wait([task])


async def test_a_viewer_sees_the_frames_at_their_own_pace(showing, peer):
    _, answer = await showing.offer(await peer.offer_to_watch())
    await peer.accept(answer)
    times = []
    for _ in range(15):
        pixels, at_s = await peer.picture()
        times.append(at_s)
    assert is_red_picture(pixels)
    steps = np.diff(times)
    assert (steps > 0).all()
    assert np.median(steps) * 30 == pytest.approx(round(np.median(steps) * 30), abs=0.05)


def test_stamps_grow_and_tell_an_even_frame_rate_apart_from_itself():
    stamps = np.array([rtp_ticks(index / 30, index) for index in range(2_000)])
    assert (np.diff(stamps) > 0).all()
    assert np.abs(stamps - np.arange(2_000) * 3_000).max() <= 63
    for shift in range(1, 60):
        steps = stamps[shift:] - stamps[:-shift]
        assert np.bincount(steps - steps.min()).max() < 100


async def test_a_viewer_of_a_stream_that_stands_still_sees_its_last_frame(whep, peer):
    whep.push(frame_of(7))
    _, answer = await whep.offer(await peer.offer_to_watch())
    await peer.accept(answer)
    pixels, _ = await peer.picture()
    assert is_red_picture(pixels)


async def test_time_grows_for_a_viewer_though_the_stream_s_own_clock_stood_still(whep, peer, monkeypatch):
    monkeypatch.setattr(webrtc, "REPEAT_S", 0.05)
    whep.push(frame_of(0))
    _, answer = await whep.offer(await peer.offer_to_watch())
    await peer.accept(answer)
    times = [(await peer.picture())[1] for _ in range(6)]
    task = asyncio.create_task(show(whep))
    times += [(await peer.picture())[1] for _ in range(15)]
    task.cancel()
    await asyncio.wait([task])
    assert all(a < b for a, b in itertools.pairwise(times))
    assert times[5] - times[0] > 4 / 30, "repeats run ahead of the frames that follow"
    assert times[-1] - times[6] < 15 * 2 / 30, "and those keep their own pace"


async def test_two_viewers_share_one_conversion(showing, peer, other_peer, monkeypatch):
    converted = []
    to_planes = webrtc._to_planes
    monkeypatch.setattr(webrtc, "_to_planes", lambda frame: converted.append(frame.index) or to_planes(frame))
    for viewer in (peer, other_peer):
        _, answer = await showing.offer(await viewer.offer_to_watch())
        await viewer.accept(answer)
    for _ in range(5):
        await asyncio.gather(peer.picture(), other_peer.picture())
    assert len(converted) == len(set(converted))


async def test_without_viewers_nothing_is_converted(whep, monkeypatch):
    monkeypatch.setattr(webrtc, "_to_planes", lambda frame: pytest.fail("converted for nobody"))
    for index in range(100):
        whep.push(frame_of(index))
    await asyncio.sleep(0.01)


async def test_there_is_a_limit_to_viewers_and_an_end_makes_room(showing, peer, other_peer):
    session_id, _ = await showing.offer(await peer.offer_to_watch())
    sdp = await other_peer.offer_to_watch()
    await showing.offer(sdp)
    with pytest.raises(LimitReached):
        await showing.offer(sdp)
    await showing.end(session_id)
    with pytest.raises(NotFound):
        await showing.end(session_id)
    assert showing.viewers == 1


async def test_ending_a_session_ends_the_picture(showing, peer):
    session_id, answer = await showing.offer(await peer.offer_to_watch())
    await peer.accept(answer)
    await peer.picture()
    await showing.end(session_id)

    async def watch_on():
        while True:
            await peer.picture()

    with pytest.raises(MediaStreamError):
        await watch_on()


async def test_a_viewer_who_hangs_up_is_forgotten(showing, peer):
    _, answer = await showing.offer(await peer.offer_to_watch())
    await peer.accept(answer)
    await peer.picture()
    await peer.connection.close()
    await until(lambda: showing.viewers == 0)


async def test_a_viewer_who_vanishes_is_forgotten(showing, peer, monkeypatch):
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.05)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)
    monkeypatch.setattr(aioice.ice.stun, "RETRY_MAX", 1)
    _, answer = await showing.offer(await peer.offer_to_watch())
    await peer.accept(answer)
    await peer.picture()
    # No good-bye: its sockets are simply gone.
    for transceiver in peer.connection.getTransceivers():
        for protocol in transceiver.receiver.transport.transport._connection._protocols:
            protocol.transport.abort()
    await until(lambda: showing.viewers == 0)


async def test_a_viewer_who_never_connects_is_forgotten(showing, peer, monkeypatch):
    monkeypatch.setattr(webrtc, "CONNECT_TIMEOUT_S", 0.05)
    await showing.offer(await peer.offer_to_watch())
    await until(lambda: showing.viewers == 0)


async def test_a_frame_pushed_from_a_thread_arrives(whep, peer):
    _, answer = await whep.offer(await peer.offer_to_watch())
    await peer.accept(answer)
    stop = threading.Event()

    def push():
        index = 0
        while not stop.wait(0.02):
            whep.push(frame_of(index))
            index += 1

    thread = threading.Thread(target=push)
    thread.start()
    try:
        assert is_red_picture((await peer.picture())[0])
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(("size", "shown"), [((101, 75), (100, 74)), ((1920, 1080), (1280, 720))])
async def test_pictures_are_made_to_fit_the_encoder(whep, peer, size, shown):
    width, height = size
    whep.push(frame_of(0, np.zeros((height, width, 3), np.uint8)))
    _, answer = await whep.offer(await peer.offer_to_watch())
    await peer.accept(answer)
    pixels, _ = await peer.picture()
    assert (pixels.shape[1], pixels.shape[0]) == shown


async def test_a_cancelled_offer_leaves_nothing_behind(whep, ingest, peer, other_peer):
    watch, publish = await peer.offer_to_watch(), await other_peer.offer_to_publish()
    for make in (lambda: whep.offer(watch), lambda: ingest.offer(publish)):
        task = asyncio.create_task(make())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert whep.viewers == 0
    assert ingest._publisher is None
