import base64

import pytest

from streaming.rtsp.depacketizer import START_CODE
from streaming.rtsp.sdp import session_control, video_track

CAMERA = """\
v=0\r
o=- 1 1 IN IP4 192.0.2.1\r
s=Media Presentation\r
a=control:rtsp://192.0.2.1/live/\r
m=audio 0 RTP/AVP 0\r
a=control:trackID=0\r
m=video 0 RTP/AVP 96 97\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 profile-level-id=4D0014; packetization-mode=1; sprop-parameter-sets=Z00=,aM4=;\r
a=control:trackID=1\r
m=application 0 RTP/AVP 107\r
a=rtpmap:107 vnd.onvif.metadata/90000\r
a=control:trackID=2\r
"""


def test_the_video_of_a_camera_is_read():
    track = video_track(CAMERA)
    assert (track.encoding, track.payload_type, track.clock_rate) == ("H264", 96, 90_000)
    assert (track.control, session_control(CAMERA)) == ("trackID=1", "rtsp://192.0.2.1/live/")
    assert track.parameter_sets == START_CODE + b"\x67M" + START_CODE + b"\x68\xce"
    assert track.is_depacketizable


def test_h265_gives_its_sets_in_the_order_a_decoder_wants():
    pps, vps, sps = (base64.b64encode(each).decode() for each in (b"pps", b"vps", b"sps"))
    parameters = f"sprop-pps={pps};sprop-vps={vps};sprop-sps={sps}"
    track = video_track(f"m=video 0 RTP/AVP 98\na=rtpmap:98 h265/90000\na=fmtp:98 {parameters}")
    assert track.parameter_sets == b"".join(START_CODE + each for each in (b"vps", b"sps", b"pps"))
    assert track.is_depacketizable


@pytest.mark.parametrize(
    "sdp",
    [
        "m=video 0 RTP/AVP 26\na=control:jpeg",
        "m=video 0 RTP/AVP 96\na=rtpmap:96 MP4V-ES/90000",
        "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/0",
        "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=2",
        "m=video 0 RTP/AVP 96\na=rtpmap:96 H265/90000\na=fmtp:96 sprop-max-don-diff=2",
        "m=video 0 RTP/AVP 99999\na=rtpmap:96 H264/90000",
        "m=video",
    ],
)
def test_other_codecs_and_interleaved_modes_are_not_depacketizable(sdp):
    track = video_track(sdp)
    assert track is None or not track.is_depacketizable


def test_a_session_without_video_has_no_track():
    assert video_track("v=0\r\nm=audio 0 RTP/AVP 0\r\na=rtpmap:0 H264/90000\r\n") is None
    assert video_track("") is None


def test_parameter_sets_that_cannot_be_read_are_left_out():
    track = video_track(CAMERA.replace("Z00=", "Z"))
    assert track.parameter_sets == START_CODE + b"\x68\xce"


def test_no_cut_of_a_description_raises():
    for end in range(len(CAMERA)):
        track = video_track(CAMERA[:end])
        assert track is None or isinstance(track.parameter_sets, bytes)


def test_srtp_is_recognised():
    assert video_track("m=video 0 RTP/SAVP 96\na=rtpmap:96 H264/90000").is_encrypted
    assert video_track("m=video 0 RTP/SAVPF 96\na=rtpmap:96 H264/90000").is_encrypted
    assert not video_track(CAMERA).is_encrypted


@pytest.mark.parametrize(
    "sdp",
    [
        "m=video 0 RTP/AVP 26\na=control:small\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:main",
        "m=video 0 RTP/AVP 35 96\na=rtpmap:96 H264/90000\na=control:main",
        "m=video 0 RTP/AVP 96\na=rtpmap:96\tH264\na=control:main",
    ],
    ids=["two tracks", "two payload types", "no clock rate"],
)
def test_descriptions_that_differ_from_the_rfc_are_read(sdp):
    track = video_track(sdp)
    assert (track.encoding, track.payload_type, track.clock_rate, track.control) == (
        "H264",
        96,
        90_000,
        "main",
    )
    assert track.is_depacketizable


@pytest.mark.parametrize("text", ["Z00=", "Z00", "AAAAAWdN", "AAABZ00"])
def test_parameter_sets_may_lack_padding_and_have_a_start_code(text):
    track = video_track(CAMERA.replace("Z00=", text))
    assert track.parameter_sets == START_CODE + b"\x67M" + START_CODE + b"\x68\xce"
