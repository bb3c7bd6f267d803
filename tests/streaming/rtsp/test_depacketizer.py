"""Packets written by hand, and round trips through aiortc's and FFmpeg's packetizers."""

import itertools
import random

import pytest
from aiortc.codecs import h264

from streaming.rtsp import depacketizer as module
from streaming.rtsp.depacketizer import H264, H265, START_CODE, Depacketizer, parse_h265
from tests.cameras import PAYLOAD_TYPE, encoded, h264_payloads, h265_payloads, nal_units, rtp, rtp_packets
from tests.servers import write_clip

SLICE, KEY, SPS, PPS = b"\x41slice", b"\x65key", b"\x67sps", b"\x68pps"


def units(*packets, payload_format=H264):
    """The access units that each packet completes."""
    units = Depacketizer(payload_format, PAYLOAD_TYPE)
    return [units.push(packet, float(k)) for k, packet in enumerate(packets)]


def fragments(unit, *cuts):
    """A NAL unit in FU-A payloads, cut at these places."""
    indicator, kind = unit[0] & 0xE0 | 28, unit[0] & 0x1F
    edges = [1, *cuts, len(unit)]
    marks = [0x80] + [0] * (len(edges) - 3) + [0x40]
    pieces = [unit[a:b] for a, b in itertools.pairwise(edges)]
    return [bytes([indicator, mark | kind]) + piece for mark, piece in zip(marks, pieces, strict=True)]


def test_a_marker_bit_releases_the_access_unit_at_once():
    assert units(rtp(SLICE, 1, 9_000, marker=True)) == [
        [module.AccessUnit(START_CODE + SLICE, 9_000, 0.0, damaged=False)]
    ]


def test_arrival_is_that_of_the_last_packet():
    [], [unit] = units(rtp(SPS, 1, 0), rtp(SLICE, 2, 0, marker=True))
    assert (unit.data, unit.arrived_s) == (START_CODE + SPS + START_CODE + SLICE, 1.0)


def test_an_aggregation_packet_holds_several_nal_units():
    payload = b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in (SPS, PPS, KEY))
    [[unit]] = units(rtp(payload, 1, 0, marker=True))
    assert unit.data == b"".join(START_CODE + each for each in (SPS, PPS, KEY))


def test_fragments_are_joined_to_their_nal_unit():
    one, two, three = fragments(b"\x65abcdefghi", 4, 7)
    assert (one, two, three) == (b"\x7c\x85abc", b"\x7c\x05def", b"\x7c\x45ghi")
    *before, [unit] = units(rtp(one, 1, 0), rtp(two, 2, 0), rtp(three, 3, 0, marker=True))
    assert before == [[], []]
    assert (unit.data, unit.damaged) == (START_CODE + b"\x65abcdefghi", False)


def test_h265_units_come_single_aggregated_and_in_fragments():
    assert parse_h265(b"\x02\x01x").data == START_CODE + b"\x02\x01x"
    aggregated = parse_h265(b"\x60\x01\0\3\x40\x01v\0\4\x42\x01sp")
    assert aggregated.data == START_CODE + b"\x40\x01v" + START_CODE + b"\x42\x01sp"
    first, last = parse_h265(b"\x62\x01\x93ab"), parse_h265(b"\x62\x01\x53cd")
    assert (first.data, first.begins, first.ends) == (START_CODE + b"\x26\x01ab", True, False)
    assert (last.data, last.begins, last.ends) == (b"cd", False, True)


@pytest.mark.parametrize("payload", [b"\x60\x01\0", b"\x60\x01\0\x09ab", b"\x62\x01", b"\x64\x01abc"])
def test_an_h265_payload_that_cannot_be_is_refused(payload):
    with pytest.raises(ValueError, match=r"H\.265"):
        parse_h265(payload)


@pytest.mark.parametrize(
    ("codec", "payload_format", "payloads"),
    [("libx264", H264, h264_payloads), ("libx265", H265, h265_payloads)],
)
def test_a_clip_that_goes_through_rtp_is_the_same_clip(
    tmp_path, monkeypatch, codec, payload_format, payloads
):
    monkeypatch.setattr(h264, "PACKET_MAX", 150)
    pictures = encoded(write_clip(tmp_path / "clip.mp4", codec=codec))
    packets = rtp_packets(map(payloads, pictures), first=0xFFFF_FFF0)
    assert len(packets) > len(pictures), "some pictures take more than one packet"
    came = [unit for each in units(*packets, payload_format=payload_format) for unit in each]
    assert [nals(unit.data) for unit in came] == [nals(picture) for picture in pictures]
    assert not any(unit.damaged for unit in came)
    assert [unit.timestamp - came[0].timestamp for unit in came] == [3_600 * k for k in range(len(came))]


def nals(picture):
    """Its NAL units, whatever their order and start codes: aggregation puts the small ones first."""
    return sorted(nal_units(picture))


def test_parameter_sets_with_a_marker_wait_for_their_slices():
    before, [unit] = units(rtp(SPS, 1, 0, marker=True), rtp(KEY, 2, 0, marker=True))
    assert before == []
    assert unit.data == START_CODE + SPS + START_CODE + KEY


def test_without_markers_a_unit_ends_where_the_timestamp_changes():
    first, second, third = units(rtp(SLICE, 1, 0), rtp(SLICE, 2, 0), rtp(SLICE, 3, 3_000))
    assert (first, second) == ([], [])
    assert [unit.data for unit in third] == [(START_CODE + SLICE) * 2]
    assert third[0].arrived_s == 1.0


def test_markers_on_every_slice_are_ignored_after_the_first_unit():
    """Some cameras mark each slice; half a picture would be shown for ever."""
    packets = [rtp(SLICE, 2 * k + i, 3_000 * k, marker=True) for k in range(4) for i in (0, 1)]
    came = [unit.data for each in units(*packets) for unit in each]
    assert came == [START_CODE + SLICE] * 2 + [(START_CODE + SLICE) * 2] * 2


def test_a_lost_packet_drops_its_nal_unit_and_flags_the_access_unit():
    one, _, three = fragments(b"\x65abcdefghi", 4, 7)
    packets = [rtp(one, 1, 0), rtp(three, 3, 0), rtp(SLICE, 4, 0, marker=True), rtp(SLICE, 5, 1, marker=True)]
    *_, [damaged], [whole] = units(*packets)
    assert (damaged.data, damaged.damaged) == (START_CODE + SLICE, True)
    assert (whole.data, whole.damaged) == (START_CODE + SLICE, False)


def test_a_unit_that_lost_its_last_packet_is_released_with_the_next():
    one, _, _ = fragments(b"\x65abcdefghi", 4, 7)
    *_, last = units(rtp(SLICE, 1, 0), rtp(one, 2, 0), rtp(SLICE, 4, 1, marker=True))
    assert [(unit.data, unit.timestamp) for unit in last] == [
        (START_CODE + SLICE, 0),
        (START_CODE + SLICE, 1),
    ]
    assert last[0].damaged


def test_timestamps_go_on_over_their_32_bits_and_a_little_back():
    packets = [rtp(SLICE, k, stamp, marker=True) for k, stamp in enumerate((2**32 - 10, 5, 2**32 - 5, 20))]
    stamps = [unit.timestamp for each in units(*packets) for unit in each]
    assert [stamp - stamps[0] for stamp in stamps] == [0, 15, 5, 30]


def test_other_payload_types_and_padding_are_passed_over():
    other = bytearray(rtp(SLICE, 1, 0, marker=True))
    other[1] = 0x80 | 101
    assert units(bytes(other), rtp(b"", 2, 0, marker=True), rtp(b"\x0a", 3, 0, marker=True)) == [[], [], []]


def test_an_unreadable_packet_flags_its_access_unit():
    for broken in (b"abc", rtp(b"\x7f\x00x", 2, 0), rtp(b"\x78\xff\xffx", 2, 0), rtp(b"\x7c\x05x", 2, 0)):
        *_, [unit] = units(rtp(SPS, 1, 0), broken, rtp(SLICE, 3, 0, marker=True))
        assert unit.damaged, broken


@pytest.mark.parametrize("payload", [b"\x7c\x05" + b"x" * 1_000, b"\x67" + b"x" * 1_000])
def test_an_endless_access_unit_takes_bounded_memory(monkeypatch, payload):
    monkeypatch.setattr(module, "MAX_UNIT_BYTES", 10_000)
    units = Depacketizer(H264, PAYLOAD_TYPE)
    units.push(rtp(b"\x7c\x85x", 0, 0), 0.0)
    for number in range(1, 100):
        assert units.push(rtp(payload, number, 0), 0.0) == []
        assert len(units._unit) + len(units._fragment or b"") <= 10_000
    [unit] = units.push(rtp(SLICE, 100, 0, marker=True), 0.0)
    assert unit.damaged


@pytest.mark.parametrize("payload_format", [H264, H265])
def test_noise_never_raises(payload_format):
    rng = random.Random(5)
    units = Depacketizer(payload_format, PAYLOAD_TYPE)
    for number in range(2_000):
        noise = rng.randbytes(rng.randrange(40))
        units.push(noise if number % 3 == 0 else rtp(noise, number, number // 4, marker=number % 4 == 3), 0.0)


def test_an_access_unit_that_decoding_can_start_at_is_a_key():
    [[inter], [], [key]] = units(
        rtp(SLICE, 1, 0, marker=True), rtp(SPS, 2, 3_600), rtp(KEY, 3, 3_600, marker=True)
    )
    assert (inter.is_key, key.is_key) == (False, True)
    [[idr], [tail]] = units(
        rtp(b"\x26\x01idr", 1, 0, marker=True), rtp(b"\x02\x01p", 2, 3_600, marker=True), payload_format=H265
    )
    assert (idr.is_key, tail.is_key) == (True, False)


@pytest.mark.parametrize(
    "numbers",
    [(7, 7, 7, 7), (9, 8, 7, 6), (10, 40_000, 3, 20_000), (65_535, 0, 0, 1)],
    ids=["constant", "backwards", "at random", "repeated"],
)
def test_sequence_numbers_that_cannot_be_gaps_are_ignored(numbers):
    """TCP neither repeats nor reorders packets: such numbers are a fault of the server's counting."""
    parts = fragments(b"\x65abcdefghijkl", 4, 7, 10)
    packets = [
        rtp(part, number, 0, marker=part is parts[-1]) for part, number in zip(parts, numbers, strict=True)
    ]
    *_, [unit] = units(*packets)
    assert (unit.data, unit.damaged) == (START_CODE + b"\x65abcdefghijkl", False)


def test_numbers_that_always_leave_a_gap_are_ignored_after_a_while():
    parts = [fragments(b"\x65abcdefghijkl", 4, 7, 10) for _ in range(6)]
    packets = [
        rtp(part, 2 * (4 * picture + index), picture * 3_600, marker=index == 3)
        for picture, each in enumerate(parts)
        for index, part in enumerate(each)
    ]
    came = [unit for found in units(*packets) for unit in found]
    assert came[-1].data == START_CODE + b"\x65abcdefghijkl"
    assert not came[-1].damaged
