import re

import pytest

from streaming.webrtc.h264 import RECEIVED_MODES, SENT_MODES, with_offered_h264, with_uniform_h264

OFFER = (
    "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 102 103\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:102 H264/90000\r\n{}"
)
RTX = "a=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\n"
KNOWN = "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"

PARAMETERS = [
    "",
    "packetization-mode=0",
    "profile-level-id=640c1f",
    "packetization-mode=1;profile-level-id=640034",
    "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=f4001f",
    "profile-level-id=4d0032;packetization-mode=1;sprop-parameter-sets=Z0IAHukDUBY=,aM4xsg==",
    "packetization-mode=1; profile-level-id=zz",
]


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("before", [True, False], ids=["before its format", "after its format"])
def test_every_format_is_offered_as_known_and_answered_as_offered(parameters, before):
    line = f"a=fmtp:102 {parameters}\r\n" if parameters else ""
    sdp = (
        OFFER.format(line + RTX)
        if not before
        else OFFER.format(RTX).replace("a=rtpmap:96", line + "a=rtpmap:96")
    )
    uniform, offered = with_uniform_h264(sdp, RECEIVED_MODES)
    assert uniform == OFFER.format(KNOWN + RTX)
    assert offered == {"102": parameters}
    assert with_offered_h264(uniform, offered) == OFFER.format(line + RTX)


def test_only_formats_of_the_wanted_packetization_mode_are_taken():
    two = OFFER.format(
        "a=fmtp:102 profile-level-id=640c1f\r\na=rtpmap:105 h264/90000\r\na=fmtp:105 packetization-mode=1\r\n"
    )
    uniform, offered = with_uniform_h264(two, SENT_MODES)
    assert offered == {"105": "packetization-mode=1"}
    assert re.findall("a=fmtp:102 (.*)\r", uniform) == ["profile-level-id=640c1f"]
    interleaved = OFFER.format("a=fmtp:102 packetization-mode=2\r\n")
    assert with_uniform_h264(interleaved, RECEIVED_MODES) == (interleaved, {})


def test_an_offer_without_h264_stays_as_it_is():
    sdp = "v=0\r\na=rtpmap:96 VP8/90000\r\na=fmtp:96 max-fr=30\r\n"
    assert with_uniform_h264(sdp, RECEIVED_MODES) == (sdp, {})
