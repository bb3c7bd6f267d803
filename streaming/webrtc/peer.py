"""What WHIP and WHEP share: reading an offer, answering it, the addresses that are offered, hanging up."""

from __future__ import annotations

import contextlib
import queue
import secrets
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

import aioice.ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.sdp import SessionDescription

from streaming.errors import InvalidStream

MAX_OFFER_CHARS = 64 * 1024
"""Chromium's offers are 2 to 8 kB."""

MAX_MEDIA = 8
"""Media sections in an offer: each costs sockets."""

MAX_BACKLOG = 30
"""Encoded pictures that may wait for the decoder: a second's worth."""

_addresses: ContextVar[tuple[str, ...] | None] = ContextVar("_addresses", default=None)
_every_address = aioice.ice.get_host_addresses


def _offered_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    chosen = _addresses.get()
    return _every_address(use_ipv4, use_ipv6) if chosen is None else list(chosen)


# aioice offers every interface except loopback and takes no argument for it (0.13). A service that listens on
# loopback only must offer loopback only, so its one function for this is replaced, here and once; the
# context variable keeps connections that are not ours as they were.
aioice.ice.get_host_addresses = _offered_addresses


@contextlib.contextmanager
def candidates_at(addresses: Sequence[str]) -> Iterator[None]:
    """Connections that gather their candidates within offer these local addresses and no others."""
    token = _addresses.set(tuple(addresses))
    try:
        yield
    finally:
        _addresses.reset(token)


@dataclass(frozen=True, slots=True)
class Offer:
    """An SDP offer that has been looked at."""

    sdp: str
    video_direction: str
    "`sendonly`, `recvonly`, `sendrecv` or `inactive`, as the peer sees its video."


def parse_offer(sdp: str) -> Offer:
    """Look at what a peer sent. Raises InvalidStream if it is not an SDP offer with one video section."""
    if not sdp.startswith("v=0") or len(sdp) > MAX_OFFER_CHARS:
        raise InvalidStream("This is not an SDP offer.", remedy="Send the browser's own offer as it is.")
    sdp = _without_mdns(sdp)
    try:
        description = SessionDescription.parse(sdp)
    except Exception as exc:  # a parser of foreign text that fails in whatever way its text makes it
        raise InvalidStream(
            "This SDP offer cannot be parsed.", remedy="Send the browser's own offer as it is."
        ) from exc
    videos = [media for media in description.media if media.kind == "video" and media.port != 0]
    if len(videos) != 1 or len(description.media) > MAX_MEDIA:
        raise InvalidStream(
            f"The offer has {len(videos)} video sections.", remedy="Offer exactly one video track."
        )
    return Offer(sdp, videos[0].direction or "sendrecv")


def _without_mdns(sdp: str) -> str:
    """`sdp` less its candidates with `.local` names.

    To resolve them aioice would open a multicast socket; the peer reaches us at our own candidates, and
    its address is learnt from that.
    """
    lines = [line for line in sdp.splitlines() if not (line.startswith("a=candidate:") and ".local " in line)]
    return "\r\n".join(lines) + "\r\n"


def new_connection() -> RTCPeerConnection:
    """A connection without STUN or TURN servers; aiortc's default would ask a public one."""
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


def new_session_id() -> str:
    """Unguessable: whoever knows it may end the session."""
    return secrets.token_urlsafe(16)


async def set_remote_offer(connection: RTCPeerConnection, offer: Offer) -> None:
    """Take in the peer's offer. Raises InvalidStream if there is no codec or transport in common."""
    try:
        await connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
    except (InternalError, InvalidAccessError, InvalidStateError, OperationError, ValueError) as exc:
        raise InvalidStream(
            f"The offer cannot be answered: {exc}.",
            remedy="Offer VP8 or H.264 over DTLS with ICE and rtcp-mux.",
        ) from exc
    for transceiver in connection.getTransceivers():
        if transceiver.kind != "video":
            transceiver.direction = "inactive"


async def create_answer(connection: RTCPeerConnection, addresses: Sequence[str]) -> str:
    """Our answer to the offer that was accepted, with candidates at `addresses` only."""
    with candidates_at(addresses):
        await connection.setLocalDescription(await connection.createAnswer())
    sdp: str = connection.localDescription.sdp
    return sdp


def drop_backlog(receiver: RTCRtpReceiver) -> int:
    """Drop what waits for a decoder that has fallen behind, and ask the peer for a key frame; how many.

    aiortc's queue in front of its decoder has no bound (1.16) and no public name, hence this reach inside.
    Called on the loop, where aiortc also puts the end mark that must not be lost: it is put and waited for
    in one go.
    """
    waiting: queue.Queue[object] = vars(receiver)["_RTCRtpReceiver__decoder_queue"]
    shed = 0
    if waiting.qsize() > MAX_BACKLOG:
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.get_nowait()
                shed += 1
    if shed:
        vars(receiver)["_RTCRtpReceiver__decoder_error"].set()
    return shed
