"""Shared by WHIP and WHEP: parsing an offer, creating an answer, ICE candidates, the decoder's backlog."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from aiortc import (
    RTCCertificate,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.rtcdtlstransport import SRTPProtectionProfile
from aiortc.sdp import SessionDescription
from OpenSSL import SSL

from streaming.errors import InvalidStream, SaccadeError
from streaming.settings import Settings
from streaming.webrtc.h264 import with_offered_h264, with_uniform_h264
from streaming.webrtc.ice import IceCandidates, gather_at, with_public_addresses

MAX_OFFER_CHARS = 64 * 1024
"""Longest SDP offer accepted; Chromium's are 2 to 8 kB."""

MAX_MEDIA = 8
"""Most media sections of an offer: each costs sockets."""

MAX_BACKLOG = 30
"""Most encoded frames that wait for the decoder: about a second."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A parsed SDP offer."""

    sdp: str
    video_direction: str
    "`sendonly`, `recvonly`, `sendrecv` or `inactive`, from the peer's side."
    video_codecs: frozenset[str]
    "Names in upper case: VP8, H264, RTX, ..."
    h264_parameters: Mapping[str, str]
    "By payload type, as offered; `sdp` has those that aiortc knows instead."


def parse_offer(sdp: str, h264_modes: Collection[str]) -> Offer:
    """Parse an SDP offer; `h264_modes` are the packetization modes to answer.

    Raises InvalidStream unless it has exactly one video section.
    """
    if not sdp.startswith("v=0") or len(sdp) > MAX_OFFER_CHARS:
        raise InvalidStream("This is not an SDP offer.", remedy="Send the browser's own offer as it is.")
    sdp, h264_parameters = with_uniform_h264(_without_mdns(sdp), h264_modes)
    try:
        description = SessionDescription.parse(sdp)
    except Exception as exc:  # aiortc's parser raises many types on malformed text
        raise InvalidStream(
            "This SDP offer cannot be parsed.", remedy="Send the browser's own offer as it is."
        ) from exc
    videos = [media for media in description.media if media.kind == "video" and media.port != 0]
    if len(videos) != 1 or len(description.media) > MAX_MEDIA:
        raise InvalidStream(
            f"The offer has {len(videos)} video sections.", remedy="Offer exactly one video track."
        )
    codecs = frozenset(codec.name.upper() for codec in videos[0].rtp.codecs)
    return Offer(sdp, videos[0].direction or "sendrecv", codecs, h264_parameters)


def _without_mdns(sdp: str) -> str:
    """Return `sdp` without candidates that have `.local` names, and without its end of candidates.

    To resolve them aioice would open a multicast socket. The peer connects to our candidates, and ICE takes
    its address from that (peer-reflexive candidate); at the end of candidates aioice would give up on a peer
    that has no other, as Firefox.
    """
    lines = [
        line
        for line in sdp.splitlines()
        if not (line.startswith("a=candidate:") and ".local " in line) and line != "a=end-of-candidates"
    ]
    return "\r\n".join(lines) + "\r\n"


class _Certificate(RTCCertificate):
    """Accepts peers with RSA certificates, too, such as GStreamer; aiortc (1.16) takes ECDSA only."""

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES")
        return context


def new_connection() -> RTCPeerConnection:
    """Make a connection without STUN or TURN servers; aiortc's default is a public STUN server."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    vars(connection)["_RTCPeerConnection__certificates"][:] = [_Certificate.generateCertificate()]
    return connection


def new_session_id() -> str:
    """Make an unguessable session id: knowing it permits ending the session."""
    return secrets.token_urlsafe(16)


async def set_remote_offer(connection: RTCPeerConnection, offer: Offer) -> None:
    """Set the remote description. Raises InvalidStream if there is no common codec or transport."""
    try:
        await connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
    except Exception as exc:  # aiortc raises many types on an offer that is incomplete
        raise _unanswerable(exc) from exc
    for transceiver in connection.getTransceivers():
        if transceiver.kind != "video":
            transceiver.direction = "inactive"


async def create_answer(connection: RTCPeerConnection, offer: Offer, settings: Settings) -> str:
    """Set the local description and return it as SDP, with the candidates of the settings.

    Raises InvalidSettings, LimitReached (no free UDP port), InvalidStream (an offer without what an answer
    needs, such as `a=mid`).
    """
    candidates = await asyncio.to_thread(IceCandidates.of, settings)
    gather_at(connection, candidates)
    try:
        await connection.setLocalDescription(await connection.createAnswer())
    except SaccadeError:
        raise
    except Exception as exc:  # as in `set_remote_offer`
        raise _unanswerable(exc) from exc
    sdp = with_offered_h264(connection.localDescription.sdp, offer.h264_parameters)
    return await with_public_addresses(sdp, candidates.public)


def _unanswerable(exc: Exception) -> InvalidStream:
    return InvalidStream(
        f"The offer cannot be answered: {exc}.",
        remedy="Offer VP8, or H.264 (to watch: packetization-mode=1), over DTLS with ICE and rtcp-mux.",
    )


def drop_backlog(receiver: RTCRtpReceiver) -> int:
    """Empty the queue of a decoder that is late, request a key frame (PLI); return the number of frames
    dropped.

    aiortc's decoder queue (1.16) is unbounded and private. Call it on the event loop: there aiortc puts the
    queue's end marker and joins the decoder without awaiting in between, so the marker cannot be dropped
    here.
    """
    waiting: queue.Queue[object] = vars(receiver)["_RTCRtpReceiver__decoder_queue"]
    dropped = 0
    if waiting.qsize() > MAX_BACKLOG:
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.get_nowait()
                dropped += 1
    if dropped:
        vars(receiver)["_RTCRtpReceiver__decoder_error"].set()
    return dropped
