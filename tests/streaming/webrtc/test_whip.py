import asyncio
import itertools
import re
import threading
import time

import numpy as np
import pytest
from aiortc.rtcdtlstransport import generate_certificate
from aiortc.rtp import is_rtcp
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from streaming.errors import Conflict, InvalidStream, NotFound, ServiceUnavailable
from streaming.sources.live import SourceLimits
from streaming.vocabulary import Clock, SourceState, StreamId
from streaming.webrtc import whip
from streaming.webrtc.whip import WhipSource
from tests.peers import INVALID_OFFERS, LOOPBACK, Camera, SingleFrameCamera, is_red_image, until

ID = StreamId("browser")


class Seen:
    """What a source delivered and reported."""

    def __init__(self):
        self.frames, self.states = [], []

    def states_of(self):
        return [status.state for status in self.states]


@pytest.fixture
async def ingest():
    seen = Seen()
    source = WhipSource(ID, LOOPBACK, SourceLimits(first_frame_s=5.0, stall_s=0.5))
    source.seen = seen
    source.start(seen.frames.append, seen.states.append)
    yield source
    source.stop()
    await until(lambda: source._publisher is None)


@pytest.mark.parametrize("codec", ["video/VP8", "video/H264"])
async def test_published_video_becomes_frames(ingest, peer, codec):
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
    assert is_red_image(frames[-1].pixels)
    assert frames[-1].pixels.dtype == np.uint8
    assert frames[-1].pixels.flags.c_contiguous
    assert ingest.status.state is SourceState.LIVE


@pytest.mark.parametrize(
    "parameters", ["", "profile-level-id=640c1f", "packetization-mode=1;profile-level-id=4d0034"]
)
async def test_h264_of_any_profile_is_answered_as_offered_and_decoded(ingest, peer, parameters):
    sdp = await peer.offer_to_publish(codec="video/H264")
    own = re.findall(r"(a=fmtp:\d+) (.*profile-level-id.*)\r\n", sdp)
    offered = sdp
    for name, known in own:
        offered = offered.replace(f"{name} {known}\r\n", f"{name} {parameters}\r\n" if parameters else "")
    _, answer = await ingest.offer(offered)
    answered = re.findall(r"a=fmtp:\d+ (?!apt)(.*)\r\n", answer)
    assert answered == ([parameters] * len(own) if parameters else [])
    # The test's own peer encodes one profile, whatever it said.
    for name, known in own:
        number = name.removeprefix("a=fmtp:")
        answer = answer.replace(f"{name} {parameters}\r\n", "")
        answer = answer.replace(
            f"a=rtpmap:{number} H264/90000\r\n", f"a=rtpmap:{number} H264/90000\r\n{name} {known}\r\n"
        )
    await peer.accept(answer)
    await until(lambda: len(ingest.seen.frames) >= 3)
    assert is_red_image(ingest.seen.frames[-1].pixels)


def use_certificate(peer, key):
    (made,) = certificates = vars(peer.connection)["_RTCPeerConnection__certificates"]
    certificates[:] = [type(made)(key, generate_certificate(key))]


async def test_a_publisher_with_an_rsa_certificate_connects(ingest, peer):
    """Such as GStreamer: in the server of the handshake, which it is here."""
    use_certificate(peer, rsa.generate_private_key(65537, 2048))
    _, answer = await ingest.offer(await peer.offer_to_publish())
    assert "a=setup:active" in answer
    await peer.accept(answer)
    await until(lambda: ingest.seen.frames)


async def test_a_publisher_whose_certificate_is_refused_is_told_what_to_give(ingest, peer):
    """FFmpeg with GnuTLS makes itself a certificate with this curve."""
    use_certificate(peer, ec.generate_private_key(ec.SECP224R1()))
    session_id, answer = await ingest.offer(await peer.offer_to_publish())
    await peer.accept(answer)
    await until(lambda: ingest._publisher.connection.connectionState == "failed")
    await ingest.end(session_id)
    await until(lambda: ingest.status.state is SourceState.RECONNECTING)
    assert "encryption (DTLS) with the publisher failed" in ingest.status.reason
    assert "-cert_file" in ingest.status.reason


async def test_of_a_simulcast_one_layer_is_received(ingest, peer):
    """The offer of a browser with three encodings; without `a=simulcast` in the answer it sends the first."""
    layers = "a=rid:h send\r\na=rid:m send\r\na=rid:l send\r\na=simulcast:send h;m;l\r\na=sendonly\r\n"
    offer = (await peer.offer_to_publish()).replace("a=sendonly\r\n", layers)
    _, answer = await ingest.offer(offer)
    assert "simulcast" not in answer and "rid" not in answer
    await peer.accept(answer)
    await until(lambda: len(ingest.seen.frames) >= 3)


async def test_layers_that_are_sent_unasked_are_not_mixed(ingest, peer):
    camera = Camera()
    _, answer = await ingest.offer(await peer.offer_to_publish(camera))
    transport = peer.connection.getTransceivers()[0].sender.transport
    send = transport._send_rtp

    async def send_two_layers(data):
        await send(data)
        if not is_rtcp(data):
            other = bytearray(data)
            other[2:4] = (int.from_bytes(data[2:4]) + 20_000 & 0xFFFF).to_bytes(2)
            other[8:12] = b"\1\2\3\4"
            await send(bytes(other))

    transport._send_rtp = send_two_layers
    await peer.accept(answer)
    await until(lambda: len(ingest.seen.frames) >= 15)
    assert ingest.status.frames <= camera.sent


async def test_a_frame_does_not_wait_for_the_next(ingest, peer):
    _, answer = await ingest.offer(await peer.offer_to_publish(SingleFrameCamera()))
    await peer.accept(answer)
    await until(lambda: ingest.seen.frames)


async def test_a_source_stopped_during_an_answer_refuses_the_publisher(ingest, peer, monkeypatch):
    async def slow_answer(*arguments):
        ingest.stop()
        return await create_answer(*arguments)

    create_answer = whip.create_answer
    monkeypatch.setattr(whip, "create_answer", slow_answer)
    with pytest.raises(ServiceUnavailable, match="removed"):
        await ingest.offer(await peer.offer_to_publish())
    assert ingest._publisher is None


async def test_only_the_set_addresses_are_offered(ingest, peer):
    _, answer = await ingest.offer(await peer.offer_to_publish())
    candidates = [line.split()[4] for line in answer.splitlines() if line.startswith("a=candidate:")]
    assert candidates
    assert set(candidates) == {"127.0.0.1"}


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


async def test_a_session_ended_while_a_frame_arrives_ends(ingest, peer):
    _, answer = await ingest.offer(await peer.offer_to_publish())
    await peer.accept(answer)
    await until(lambda: len(ingest.seen.frames) >= 3)
    publisher = ingest._publisher
    track = whip._video_receiver(publisher.connection).track
    receive = track.recv

    async def receive_and_end():
        picture = await receive()
        asyncio.get_running_loop().call_soon(publisher.cancel)
        return picture

    track.recv = receive_and_end
    await asyncio.wait_for(asyncio.wait([publisher.task]), 5)


async def test_a_publisher_that_closes_is_reported(ingest, peer):
    _, answer = await ingest.offer(await peer.offer_to_publish())
    await peer.accept(answer)
    await until(lambda: len(ingest.seen.frames) >= 3)
    await peer.connection.close()
    await until(lambda: ingest.status.state is SourceState.RECONNECTING)


async def test_a_stalled_publisher_is_replaced(ingest, peer):
    camera = Camera()
    _, answer = await ingest.offer(await peer.offer_to_publish(camera))
    await peer.accept(answer)
    await until(lambda: len(ingest.seen.frames) >= 3)
    camera.running.clear()
    await until(lambda: ingest.status.code == "source_stalled")
    assert ingest.status.state is SourceState.RECONNECTING


async def test_a_publisher_that_never_connects_is_replaced(peer):
    source = WhipSource(ID, LOOPBACK, SourceLimits(first_frame_s=0.1, stall_s=0.5))
    seen = Seen()
    source.start(seen.frames.append, seen.states.append)
    await source.offer(await peer.offer_to_publish())
    await until(lambda: SourceState.RECONNECTING in seen.states_of())
    assert "No UDP path" in source.status.reason
    source.stop()


async def test_a_stream_waits_for_its_publisher_and_says_so(ingest):
    await until(lambda: ingest.status.reason == "Waiting for a publisher.")
    assert ingest.status.state is SourceState.STARTING


@pytest.mark.parametrize("sdp", INVALID_OFFERS)
async def test_an_invalid_offer_is_refused_and_a_valid_one_accepted_after_it(ingest, peer, sdp):
    with pytest.raises(InvalidStream):
        await ingest.offer(sdp)
    await ingest.offer(await peer.offer_to_publish())


async def test_an_offer_in_the_wrong_direction_is_refused(ingest, peer):
    with pytest.raises(InvalidStream, match="does not send"):
        await ingest.offer(await peer.offer_to_watch())


async def test_a_codec_that_is_not_spoken_is_refused(ingest, peer):
    sdp = (await peer.offer_to_publish(codec="video/VP8")).replace("VP8/90000", "VP7/90000")
    with pytest.raises(InvalidStream, match="Offer VP8, or H"):
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

    source = WhipSource(ID, LOOPBACK, SourceLimits())
    source.start(slowly, lambda _: None)
    camera = Camera(fps=100)
    _, answer = await source.offer(await peer.offer_to_publish(camera))
    await peer.accept(answer)
    await until(lambda: frames)
    sent = camera.sent
    await until(lambda: camera.sent > sent + 60)
    receiver = whip._video_receiver(source._publisher.connection)
    assert receiver.track._queue.qsize() <= 1
    release.set()
    await until(lambda: len(frames) >= 3)
    assert frames[2].index - frames[0].index > 40
    source.stop()
    await until(lambda: source._publisher is None)


async def test_a_cancelled_offer_leaves_nothing_behind(ingest, peer):
    task = asyncio.create_task(ingest.offer(await peer.offer_to_publish()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ingest._publisher is None
