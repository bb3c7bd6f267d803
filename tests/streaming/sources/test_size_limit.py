"""One limit of a picture's size for every way in, applied before memory is allocated for the picture."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from aiortc import rtcrtpreceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from streaming.errors import SourceInvalid
from streaming.settings import Settings
from streaming.sources.clip import open_clip, pictures
from streaming.sources.factory import open_source
from streaming.url_guard import SourcePolicy
from streaming.vocabulary import SourceState, StreamId, StreamSpec
from streaming.webrtc.decoders import limit_decoders
from tests.streaming.conftest import Seen

PEAK_MB = """
import contextlib, resource, sys
from streaming.errors import SourceError
from streaming.sources.clip import open_clip
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with contextlib.suppress(SourceError), open_clip(sys.argv[1]) as reader:
    for _ in reader.frames():
        pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def gif(side: int) -> bytes:
    """Return a picture of one colour whose header claims side x side pixels."""
    header = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    return header + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\x00;"


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_tiny_file_of_a_huge_picture_takes_no_memory(side: int, tmp_path: Path) -> None:
    path = tmp_path / "bomb.gif"
    path.write_bytes(gif(side))
    with pytest.raises(SourceInvalid, match="max_frame_pixels"), open_clip(str(path)) as reader:
        list(pictures(reader, str(path)))
    done = subprocess.run(
        [sys.executable, "-c", PEAK_MB, str(path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 100


def test_the_limit_is_a_setting_and_the_status_names_it(clip: Path, seen: Seen) -> None:
    settings = Settings(max_frame_pixels=5_000, media_dirs=[clip.parent])
    spec = StreamSpec(StreamId("gate"), clip.as_uri())
    source = open_source(spec, SourcePolicy.from_settings(settings), settings)
    source.start(seen.deliver, seen.report)
    seen.wait(lambda s: s.states[-1:] == [SourceState.FAILED])
    assert "max_frame_pixels" in source.status.reason and not seen.frames


@pytest.mark.parametrize(("encoder", "mime_type"), [("libx264", "video/H264"), ("libvpx", "video/VP8")])
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
