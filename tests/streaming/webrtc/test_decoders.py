"""Pictures of WebRTC publishers are limited in size."""

from __future__ import annotations

import av
import numpy as np
import pytest
from aiortc import rtcrtpreceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from streaming.webrtc.decoders import limit_decoders


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo the limit, which is of the whole process, after the test."""
    monkeypatch.setattr(rtcrtpreceiver, "get_decoder", rtcrtpreceiver.get_decoder)


@pytest.mark.parametrize(("encoder", "mime_type"), [("libx264", "video/H264"), ("libvpx", "video/VP8")])
@pytest.mark.usefixtures("restored")
def test_publishers_pictures_are_limited(encoder: str, mime_type: str) -> None:
    packet = encoded_picture(encoder, (128, 64))
    limit_decoders(128 * 64)
    assert decoded(mime_type, packet) == [(128, 64)]
    limit_decoders(128 * 64 - 1)
    assert decoded(mime_type, packet) == []


def encoded_picture(encoder: str, size: tuple[int, int]) -> bytes:
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.max_b_frames = 0
    context.options = {"tune": "zerolatency"} if encoder == "libx264" else {}
    frame = av.VideoFrame.from_ndarray(np.zeros((size[1], size[0], 3), np.uint8), format="rgb24")
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def decoded(mime_type: str, packet: bytes) -> list[tuple[int, int]]:
    """Decode a packet as a receiver of aiortc does; return the sizes of its pictures."""
    decoder = rtcrtpreceiver.get_decoder(RTCRtpCodecParameters(mimeType=mime_type, clockRate=90_000))
    try:
        frames = decoder.decode(JitterFrame(data=packet, timestamp=0))
    except av.FFmpegError:
        return []
    return [(frame.width, frame.height) for frame in frames]
