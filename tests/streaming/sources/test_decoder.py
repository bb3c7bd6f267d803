from fractions import Fraction

import av
import pytest

from streaming.sources.decoder import REORDERED, FrameDecoder
from tests.cameras import encoded
from tests.servers import FRAMES, index_of, write_clip


def packets_of(clip):
    for index, data in enumerate(encoded(clip)):
        packet = av.Packet(data)
        packet.pts, packet.time_base = index, Fraction(1, 25)
        yield packet


@pytest.fixture
def context():
    return av.CodecContext.create("h264", "r")


def test_every_packet_yields_its_frame_at_once_with_its_times(clip, context):
    decoder = FrameDecoder(context)
    for index, packet in enumerate(packets_of(clip)):
        [picture] = decoder.decode(packet, 100.0 + index)
        assert index_of(picture.pixels) == index
        assert (picture.raw_pts_s, picture.arrived_s) == (index / 25, 100.0 + index)
    assert decoder.corrupt == 0


def test_a_reordered_frame_has_the_arrival_of_its_own_packet(tmp_path, context):
    decoder = FrameDecoder(context)
    clip = write_clip(tmp_path / "b.mp4", b_frames=2)
    with av.open(str(clip)) as container:
        stamps = [packet.pts for packet in container.demux() if packet.pts is not None]
    came, rank = [], {stamp: k for k, stamp in enumerate(sorted(stamps))}
    for packet, stamp in zip(packets_of(clip), stamps, strict=True):
        packet.pts = rank[stamp]
        came += decoder.decode(packet, float(rank[stamp]))
        assert len(decoder._arrived_s) <= REORDERED
    assert len(came) > FRAMES - 4
    assert [index_of(picture.pixels) for picture in came] == list(range(len(came)))
    assert all(picture.arrived_s == round(picture.raw_pts_s * 25) for picture in came)


def test_stored_arrival_times_are_bounded(context):
    decoder = FrameDecoder(context)
    for index in range(3 * REORDERED):
        packet = av.Packet(b"\0\0\0\1\x41noise")
        packet.pts = index
        assert decoder.decode(packet, 0.0) == []
    assert len(decoder._arrived_s) <= REORDERED
    assert decoder.corrupt == 3 * REORDERED


def test_a_packet_flagged_as_damaged_is_counted_and_decoded(clip, context):
    decoder = FrameDecoder(context)
    packet = next(packets_of(clip))
    packet.is_corrupt = True
    assert len(decoder.decode(packet, 0.0)) == 1
    assert decoder.corrupt == 1


def test_decoding_uses_slice_threads_without_delay(context):
    FrameDecoder(context)
    assert context.thread_count == 1
