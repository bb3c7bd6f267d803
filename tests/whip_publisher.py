"""Publishes the red image by FFmpeg's WHIP muxer: `python -m tests.whip_publisher URL TOKEN PROFILE FOLDER`.

A process of its own, because the muxer blocks while the service of the test answers.
"""

from __future__ import annotations

import sys
import time
from fractions import Fraction
from pathlib import Path

import av
from aiortc import RTCCertificate
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.peers import red_image

FPS = 30


def main(url: str, token: str, profile: str, folder: str) -> None:
    """Publish for a minute. FFmpeg's own certificate (by GnuTLS) has a curve that OpenSSL refuses."""
    made = RTCCertificate.generateCertificate()
    key, certificate = Path(folder, "key.pem"), Path(folder, "certificate.pem")
    key.write_bytes(made._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate.write_bytes(made._cert.public_bytes(Encoding.PEM))
    options = {"authorization": token, "key_file": str(key), "cert_file": str(certificate)}
    with av.open(url, "w", format="whip", options=options) as muxer:
        encoder = {"profile": profile, "preset": "veryfast", "tune": "zerolatency", "g": str(FPS)}
        stream = muxer.add_stream("libx264", rate=FPS, options=encoder)
        pixels = red_image()
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt = "yuv420p"
        started_s = time.monotonic()
        for index in range(60 * FPS):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            muxer.mux(stream.encode(frame))
            time.sleep(max(0.0, started_s + index / FPS - time.monotonic()))


if __name__ == "__main__":
    main(*sys.argv[1:])
