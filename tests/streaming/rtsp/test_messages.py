import random

import pytest

from streaming.rtsp import messages
from streaming.rtsp.messages import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_STRAY_BYTES,
    Interleaved,
    Reply,
    Request,
    RtspParser,
)

STREAM = (
    b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 5\r\n\r\nhello"
    b"$\0\0\3abc"
    b"\r\n"
    b"OPTIONS rtsp://x RTSP/1.0\r\nCSeq: 9\r\nContent-Length: 2\r\n\r\n$$"
    b"$\1\0\0"
    b"RTSP/1.0 404 Not Found\nCSeq: 2\n\n"
)


def told(messages):
    return [
        (each.status, each.phrase, each.headers["CSeq"], each.body)
        if isinstance(each, Reply)
        else (each.method, each.headers["CSeq"])
        if isinstance(each, Request)
        else each
        for each in messages
    ]


WANTED = [
    (200, "OK", "1", "hello"),
    Interleaved(0, b"abc"),
    ("OPTIONS", "9"),
    Interleaved(1, b""),
    (404, "Not Found", "2", ""),
]


def test_replies_requests_and_packets_come_in_order():
    assert told(RtspParser().feed(STREAM)) == WANTED


def test_it_does_not_matter_how_the_bytes_are_cut():
    rng = random.Random(1)
    for _ in range(50):
        parser, rest, messages = RtspParser(), STREAM, []
        while rest:
            size = rng.choice((1, 1, 2, 7, 40))
            messages += parser.feed(rest[:size])
            rest = rest[size:]
        assert told(messages) == WANTED


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"SSH-2.0-OpenSSH", "neither"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "neither"),
        (b"RTSP/1.0 OK\r\n\r\n", "without a status"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 4294967296\r\n\r\n", "impossible length"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), "impossible length"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", "impossible length"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: x\r\n\r\n", "impossible length"),
        (b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * MAX_HEAD_BYTES, "without an end"),
        (b"RTSP/1.0 200 OK\r\na: " + b"b" * MAX_HEAD_BYTES, "without an end"),
        (b"RTSP/1.0 200 OK\r\n" + b"a:b\r\n" * 200 + b"\r\n", "too many headers"),
    ],
)
def test_data_that_is_not_rtsp_raises_value_error(data, says):
    with pytest.raises(ValueError, match=says):
        RtspParser().feed(data)


def test_at_most_one_incomplete_message_is_buffered():
    parser = RtspParser()
    packet = b"$\0\xff\xff" + b"x" * 0xFFFF
    for _ in range(20):
        assert len(parser.feed(packet + packet[:40_000])) == 1
        assert len(parser.feed(packet[40_000:])) == 1
        assert len(parser._buffer) == 0


def test_noise_raises_nothing_else():
    rng = random.Random(2)
    for _ in range(300):
        parser = RtspParser()
        noise = rng.choice((b"", b"RTSP/1.0 200 OK\r\n", b"$\0", b"OPTIONS ")) + rng.randbytes(60)
        try:
            messages = parser.feed(noise + b"\r\n\r\n")
        except ValueError:
            continue
        assert all(isinstance(each, Reply | Request | Interleaved) for each in messages)


def test_an_incomplete_body_is_not_parsed_again_for_every_chunk(monkeypatch):
    parser, parsed = RtspParser(), []
    parse = messages.parse_headers
    monkeypatch.setattr(messages, "parse_headers", lambda head: parsed.append(head) or parse(head))
    parser.feed(b"RTSP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _ in range(99):
        assert parser.feed(b"x") == []
    [reply] = parser.feed(b"x")
    assert (reply.body, len(parsed)) == ("x" * 100, 1)


RTP = b"$\0\0\x0c" + b"\x80\x60" + b"0123456789"


@pytest.mark.parametrize(
    "stray", [b"x", b"\0\0", b"$", b"$$\xff\xff", b"R", b"RTSP", b"no end of noise" * 40]
)
def test_stray_bytes_between_messages_are_skipped_and_counted(stray):
    rest, parser, came = (
        RTP + stray + RTP + stray + b"RTSP/1.0 200 OK\r\nCSeq: 3\r\n\r\n" + RTP,
        RtspParser(),
        [],
    )
    while rest:
        came += parser.feed(rest[:7])
        rest = rest[7:]
    packet = Interleaved(0, RTP[4:])
    assert told(came) == [packet, packet, (200, "OK", "3", ""), packet]
    assert parser.stray_runs == 2


def test_a_wrong_length_costs_the_packets_that_it_covers_and_no_more():
    wrong = bytearray(RTP)
    wrong[3] += 9  # covers the beginning of the next packet
    parser = RtspParser()
    assert len(parser.feed(RTP + bytes(wrong) + RTP + RTP)) == 3
    assert parser.stray_runs == 1


def test_noise_without_a_message_ends_the_connection_and_is_not_stored():
    parser = RtspParser()
    parser.feed(RTP)
    with pytest.raises(ValueError, match="neither"):
        for _ in range(MAX_STRAY_BYTES // 1_000 + 2):
            assert parser.feed(b"x" * 1_000) == []
            assert len(parser._buffer) < 10


def test_a_header_line_without_a_colon_costs_no_other_header():
    [reply] = RtspParser().feed(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nnonsense\r\nSession: 7\r\n\r\n")
    assert (reply.headers["CSeq"], reply.headers["Session"]) == ("1", "7")


def test_stray_bytes_that_look_like_a_packet_do_not_swallow_packets():
    """A `$` among random bytes, with a length of 60 kB: at the rate of a camera at night, half a minute."""
    parser = RtspParser()
    parser.feed(RTP + b"x" + RTP)
    lookalike = b"$\0\xea\x60\x80\x60" + b"another sender"
    assert len(parser.feed(lookalike + RTP + b"noise" + lookalike + RTP + RTP)) == 3
