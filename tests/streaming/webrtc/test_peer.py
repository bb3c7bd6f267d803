import contextlib
import queue
import random
import threading

import pytest

from streaming.errors import InvalidStream
from streaming.settings import Settings
from streaming.webrtc.h264 import RECEIVED_MODES
from streaming.webrtc.peer import (
    MAX_BACKLOG,
    MAX_MEDIA,
    create_answer,
    drop_backlog,
    new_connection,
    new_session_id,
    parse_offer,
    set_remote_offer,
)

VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=rtpmap:96 VP8/90000\r\n"
HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


def test_an_offer_says_where_its_video_goes():
    assert parse_offer(HEAD + VIDEO + "a=sendonly\r\n", "").video_direction == "sendonly"
    assert parse_offer(HEAD + VIDEO + "a=recvonly\r\n", "").video_direction == "recvonly"
    assert parse_offer(HEAD + VIDEO, "").video_direction == "sendrecv"


@pytest.mark.parametrize(
    "body", ["", VIDEO * 2, VIDEO.replace(" 9 ", " 0 "), VIDEO + "m=audio 9 x 0\r\n" * MAX_MEDIA]
)
def test_there_must_be_one_video_and_not_too_much_else(body):
    with pytest.raises(InvalidStream):
        parse_offer(HEAD + body, "")


@pytest.mark.parametrize("seed", range(60))
async def test_a_damaged_offer_is_answered_or_invalid(seed):
    peer, connection = new_connection(), new_connection()
    peer.addTransceiver("video", "sendonly")
    await peer.setLocalDescription(await peer.createOffer())
    lines, rng = peer.localDescription.sdp.splitlines(), random.Random(seed)
    for _ in range(rng.choice((1, 2, 4))):
        at = rng.randrange(1, len(lines))
        damage = rng.choice(("drop", "cut", "repeat", "replace", "inflate"))
        if damage == "drop":
            del lines[at]
        elif damage == "repeat":
            lines.insert(at, rng.choice(lines))
        elif damage == "inflate":
            lines[at] = lines[at].replace("1", "9" * 12, 1)
        else:
            position = rng.randrange(len(lines[at]) + 1)
            rest = "" if damage == "cut" else chr(rng.randrange(32, 127)) + lines[at][position + 1 :]
            lines[at] = lines[at][:position] + rest
    with contextlib.suppress(InvalidStream):
        offer = parse_offer("\r\n".join(lines) + "\r\n", RECEIVED_MODES)
        await set_remote_offer(connection, offer)
        assert (await create_answer(connection, offer, Settings())).startswith("v=0")
    await peer.close()
    await connection.close()


@pytest.mark.parametrize("missing", ["a=mid:", "a=fingerprint:", "a=ice-ufrag:", "a=setup:", "a=rtpmap:"])
async def test_an_offer_that_lacks_a_part_is_answered_or_invalid(missing):
    peer, connection = new_connection(), new_connection()
    peer.addTransceiver("video", "sendonly")
    await peer.setLocalDescription(await peer.createOffer())
    lines = [line for line in peer.localDescription.sdp.splitlines() if not line.startswith(missing)]
    with contextlib.suppress(InvalidStream):
        offer = parse_offer("\r\n".join(lines) + "\r\n", RECEIVED_MODES)
        await set_remote_offer(connection, offer)
        await create_answer(connection, offer, Settings())
    await peer.close()
    await connection.close()


def test_names_that_only_multicast_resolves_are_left_out():
    host = "a=candidate:1 1 udp 2113937151 {} 50000 typ host\r\n"
    offer = parse_offer(
        HEAD + VIDEO + host.format("0a1b.local") + host.format("127.0.0.1") + "a=end-of-candidates\r\n", ""
    )
    assert ".local" not in offer.sdp
    assert "end-of-candidates" not in offer.sdp
    assert "127.0.0.1 50000" in offer.sdp


async def test_no_server_on_the_internet_is_asked_for_our_address():
    connection = new_connection()
    connection.addTransceiver("video")
    await connection.createOffer()
    ice = connection.getTransceivers()[0].receiver.transport.transport._connection
    assert ice.stun_server is None
    assert ice.turn_server is None
    await connection.close()


def test_session_ids_cannot_be_guessed():
    ids = {new_session_id() for _ in range(100)}
    assert len(ids) == 100
    assert min(map(len, ids)) >= 22


async def test_a_backlog_in_front_of_the_decoder_is_shed_and_a_key_frame_asked_for():
    connection = new_connection()
    receiver = connection.addTransceiver("video").receiver
    waiting = vars(receiver)["_RTCRtpReceiver__decoder_queue"]
    error = vars(receiver)["_RTCRtpReceiver__decoder_error"]
    assert isinstance(waiting, queue.Queue)
    assert isinstance(error, threading.Event)
    for _ in range(MAX_BACKLOG):
        waiting.put(object())
    assert drop_backlog(receiver) == 0
    waiting.put(object())
    assert drop_backlog(receiver) == MAX_BACKLOG + 1
    assert waiting.empty()
    assert error.is_set()
    await connection.close()
