import asyncio
import itertools
import threading
import time

import aioice.ice
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from streaming.errors import InvalidStream, LimitReached, NotFound
from streaming.vocabulary import Clock, Frame, StreamId
from streaming.webrtc import whep as module
from streaming.webrtc.whep import WhepViewers, rtp_ticks
from tests.peers import INVALID_OFFERS, LOOPBACK, is_red_image, red_image, until

ID = StreamId("browser")


def frame_of(index, pixels=None):
    pixels = red_image() if pixels is None else pixels
    return Frame(ID, index, pixels, index / 30, time.time(), Clock.ARRIVAL)


async def show(whep, pixels=None, fps=30):
    index = 0
    while True:
        whep.push(frame_of(index, pixels))
        index += 1
        await asyncio.sleep(1 / fps)


@pytest.fixture
async def whep():
    whep = WhepViewers(LOOPBACK, max_viewers=2)
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
        pixels, at_s = await peer.frame()
        times.append(at_s)
    assert is_red_image(pixels)
    steps = np.diff(times)
    assert (steps > 0).all()
    assert np.median(steps) * 30 == pytest.approx(round(np.median(steps) * 30), abs=0.05)


async def test_a_player_that_has_h264_only_gets_it(showing, peer):
    offer = await peer.offer_to_watch("video/H264")
    _, answer = await showing.offer(offer)
    assert "VP8" not in answer
    await peer.accept(answer)
    times = []
    for _ in range(15):
        pixels, at_s = await peer.frame()
        times.append(at_s)
    assert is_red_image(pixels)
    assert (np.diff(times) > 0).all()


async def test_a_player_that_has_both_gets_vp8(showing, peer):
    _, answer = await showing.offer(await peer.offer_to_watch())
    assert "H264" not in answer


@pytest.mark.parametrize("changed", ["packetization-mode=0", "AV1"])
async def test_a_player_that_has_neither_is_told_what_to_offer(showing, peer, changed):
    offer = await peer.offer_to_watch("video/H264")
    with pytest.raises(InvalidStream, match="packetization-mode=1"):
        await showing.offer(
            offer.replace("packetization-mode=1", changed).replace(
                "H264/", "H264/" if "=" in changed else "AV1/"
            )
        )
    assert showing.viewers == 0


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
    pixels, _ = await peer.frame()
    assert is_red_image(pixels)


async def test_time_grows_for_a_viewer_though_the_stream_s_own_clock_stood_still(whep, peer, monkeypatch):
    monkeypatch.setattr(module, "REPEAT_S", 0.05)
    whep.push(frame_of(0))
    _, answer = await whep.offer(await peer.offer_to_watch())
    await peer.accept(answer)
    times = [(await peer.frame())[1] for _ in range(6)]
    task = asyncio.create_task(show(whep))
    times += [(await peer.frame())[1] for _ in range(15)]
    task.cancel()
    await asyncio.wait([task])
    assert all(a < b for a, b in itertools.pairwise(times))
    assert times[5] - times[0] > 4 / 30, "repeats run ahead of the frames that follow"
    assert times[-1] - times[6] < 15 * 2 / 30, "and those keep their own pace"


async def test_two_viewers_share_one_conversion(showing, peer, other_peer, monkeypatch):
    converted = []
    to_planes = module._to_planes
    monkeypatch.setattr(module, "_to_planes", lambda frame: converted.append(frame.index) or to_planes(frame))
    for viewer in (peer, other_peer):
        _, answer = await showing.offer(await viewer.offer_to_watch())
        await viewer.accept(answer)
    for _ in range(5):
        await asyncio.gather(peer.frame(), other_peer.frame())
    assert len(converted) == len(set(converted))


async def test_without_viewers_nothing_is_converted(whep, monkeypatch):
    monkeypatch.setattr(module, "_to_planes", lambda frame: pytest.fail("converted for nobody"))
    for index in range(100):
        whep.push(frame_of(index))
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("sdp", INVALID_OFFERS)
async def test_an_invalid_offer_is_refused_without_leaks(whep, sdp):
    with pytest.raises(InvalidStream):
        await whep.offer(sdp)
    assert whep.viewers == 0


async def test_an_offer_in_the_wrong_direction_is_refused(whep, peer):
    with pytest.raises(InvalidStream, match="takes no video"):
        await whep.offer(await peer.offer_to_publish())


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


async def test_ending_a_session_ends_the_video(showing, peer):
    session_id, answer = await showing.offer(await peer.offer_to_watch())
    await peer.accept(answer)
    await peer.frame()
    await showing.end(session_id)

    async def watch_on():
        while True:
            await peer.frame()

    with pytest.raises(MediaStreamError):
        await watch_on()


async def test_a_viewer_that_closes_is_removed(showing, peer):
    _, answer = await showing.offer(await peer.offer_to_watch())
    await peer.accept(answer)
    await peer.frame()
    await peer.connection.close()
    await until(lambda: showing.viewers == 0)


async def test_a_viewer_that_disconnects_is_removed(showing, peer, monkeypatch):
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.05)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)
    monkeypatch.setattr(aioice.ice.stun, "RETRY_MAX", 1)
    _, answer = await showing.offer(await peer.offer_to_watch())
    await peer.accept(answer)
    await peer.frame()
    # No good-bye: its sockets are simply gone.
    for transceiver in peer.connection.getTransceivers():
        for protocol in transceiver.receiver.transport.transport._connection._protocols:
            protocol.transport.abort()
    await until(lambda: showing.viewers == 0)


async def test_a_viewer_that_never_connects_is_removed(showing, peer, monkeypatch):
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", 0.05)
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
        assert is_red_image((await peer.frame())[0])
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(("size", "shown"), [((101, 75), (100, 74)), ((1920, 1080), (1280, 720))])
async def test_frames_are_scaled_for_the_encoder(whep, peer, size, shown):
    width, height = size
    whep.push(frame_of(0, np.zeros((height, width, 3), np.uint8)))
    _, answer = await whep.offer(await peer.offer_to_watch())
    await peer.accept(answer)
    pixels, _ = await peer.frame()
    assert (pixels.shape[1], pixels.shape[0]) == shown


async def test_a_cancelled_offer_leaves_nothing_behind(whep, peer):
    task = asyncio.create_task(whep.offer(await peer.offer_to_watch()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert whep.viewers == 0
