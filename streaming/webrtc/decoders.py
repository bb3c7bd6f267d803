"""Limits the pictures that WebRTC publishers can have decoded.

aiortc (1.16) makes its decoders itself, without options, in the thread of each receiver. `limit_decoders`
replaces the function that makes them for the whole process.
"""

from __future__ import annotations

from typing import Any, Final

import av
from aiortc import codecs, rtcrtpreceiver
from aiortc.codecs.base import Decoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

_DECODERS: Final = {"video/h264": "h264", "video/vp8": "vp8"}
"""FFmpeg's decoders by MIME type. libvpx, which aiortc takes for VP8, allocates before FFmpeg can check the
size; FFmpeg's own decoder does not."""


def limit_decoders(max_pixels: int) -> None:
    """Let no video decoder of aiortc in this process decode pictures of more than `max_pixels`."""

    def get_decoder(codec: RTCRtpCodecParameters) -> Decoder:
        decoder: Any = codecs.get_decoder(codec)
        name = _DECODERS.get(codec.mimeType.lower())
        if name is not None:
            decoder.codec = av.CodecContext.create(name, "r")
            decoder.codec.thread_type = "SLICE"  # each frame thread would delay output by a frame
            decoder.codec.options = {"max_pixels": str(max_pixels)}
        return decoder  # type: ignore[no-any-return]

    rtcrtpreceiver.get_decoder = get_decoder  # type: ignore[attr-defined]
