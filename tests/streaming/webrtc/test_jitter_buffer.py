import random

import pytest
from aiortc import rtp

from streaming.webrtc.jitter_buffer import CAPACITY, MarkedJitterBuffer, use_markers
from streaming.webrtc.peer import new_connection


def packet(number, timestamp, marker=0, data=None):
    made = rtp.RtpPacket(sequence_number=number & 0xFFFF, timestamp=timestamp, marker=marker)
    made._data = data or bytes([number & 0xFF])
    return made


def buffer_with(*packets):
    buffer = MarkedJitterBuffer(CAPACITY, is_video=True)
    return buffer, [buffer.add(each)[1] for each in packets]


def test_a_frame_is_released_with_its_marked_packet():
    _, frames = buffer_with(packet(1, 100), packet(2, 100), packet(3, 100, marker=1))
    assert frames[:2] == [None, None]
    assert (frames[2].data, frames[2].timestamp) == (b"\1\2\3", 100)


def test_a_frame_without_a_marker_is_released_when_the_next_begins():
    _, frames = buffer_with(packet(1, 100), packet(2, 100), packet(3, 200))
    assert [frame and frame.data for frame in frames] == [None, None, b"\1\2"]


def test_a_frame_waits_for_its_missing_packet():
    _, frames = buffer_with(packet(1, 100), packet(3, 100, marker=1), packet(2, 100))
    assert [frame and frame.data for frame in frames] == [None, None, b"\1\2\3"]


def test_a_frame_waits_for_the_frame_before_it():
    buffer, frames = buffer_with(packet(1, 100), packet(3, 200, marker=1), packet(2, 100, marker=1))
    assert [frame and frame.data for frame in frames] == [None, None, b"\1\2"]
    assert buffer.add(packet(4, 300, marker=1))[1].data == b"\3"


def test_numbers_go_round():
    _, frames = buffer_with(packet(0xFFFF, 100), packet(0x10000, 100, marker=1))
    assert frames[1].data == b"\xff\0"


def test_frames_are_complete_and_in_order_from_shuffled_packets():
    rng = random.Random(3)
    packets = [packet(3 * p + k, p, marker=int(k == 2)) for p in range(200) for k in range(3)]
    for start in range(1, len(packets) - 4, 4):
        middle = packets[start : start + 4]
        rng.shuffle(middle)
        packets[start : start + 4] = middle
    _, frames = buffer_with(*packets)
    frames = [frame for frame in frames if frame is not None]
    assert [frame.timestamp for frame in frames] == list(range(len(frames)))
    assert all(frame.data == bytes([(3 * frame.timestamp + k) & 0xFF for k in range(3)]) for frame in frames)
    assert len(frames) > 190


def test_a_lost_packet_drops_its_frame_and_requests_a_key_frame():
    buffer = MarkedJitterBuffer(16, is_video=True)
    buffer.add(packet(0, 0))
    asked = [buffer.add(packet(number, number, marker=1))[0] for number in range(2, 40)]
    assert any(asked)
    assert buffer.add(packet(40, 40, marker=1))[1] is not None


async def test_use_markers_replaces_the_jitter_buffer_of_a_receiver():
    connection = new_connection()
    receiver = connection.addTransceiver("video").receiver
    use_markers(receiver)
    assert isinstance(vars(receiver)["_RTCRtpReceiver__jitter_buffer"], MarkedJitterBuffer)
    await connection.close()


@pytest.mark.parametrize("size", [1, CAPACITY])
def test_it_holds_no_more_than_its_capacity(size):
    buffer = MarkedJitterBuffer(size, is_video=True)
    for number in range(0, 4 * CAPACITY, 2):
        buffer.add(packet(number, number))
    assert len(buffer._packets) == size
