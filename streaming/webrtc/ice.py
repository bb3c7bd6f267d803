"""The ICE candidates (RFC 8445) that an answer offers: local addresses, UDP ports, additional addresses.

aioice (0.13) opens a socket on a free port of every interface except loopback and has no option for either,
so `gather_at` replaces the method of a connection that does it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

import aioice.ice
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aiortc import RTCPeerConnection

from streaming.errors import InvalidSettings, LimitReached
from streaming.settings import Settings
from streaming.url_guard import is_loopback

log = logging.getLogger(__name__)

MAX_ADDRESSES = 8
"""Most local addresses of a connection: each costs a socket."""

RESOLVE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class IceCandidates:
    """Where a connection opens its sockets, and what it offers."""

    local: tuple[str, ...]
    "Addresses of this machine at which sockets are opened."
    public: Sequence[str] = ()
    "Additional addresses or names that are offered, with the same ports."
    ports: Sequence[int] = (0,)
    "UDP ports to try; 0: any free one."
    same_machine_only: bool = False
    "Whether datagrams from elsewhere than `local` are dropped unread."

    @classmethod
    def of(cls, settings: Settings) -> IceCandidates:
        """Return what the settings mean on this machine now. Raises InvalidSettings for what cannot work."""
        first, last = settings.ice_udp_ports or (0, 0)
        if first > last:
            raise InvalidSettings(f"ice_udp_ports: {first} to {last} is no range.", remedy="Swap them.")
        public, wanted = settings.ice_public_addresses, settings.ice_addresses
        is_private = is_loopback(settings.host) and not settings.server_names and not public
        local = _automatic(settings.host, is_private) if wanted == "auto" else tuple(map(_checked, wanted))
        if not (is_private or public or wanted == "auto") and all(map(is_loopback, local)):
            raise InvalidSettings(
                "Others can reach the gateway, but no address of ice_addresses.",
                remedy='Set it to "auto", or set ice_public_addresses.',
            )
        ports = range(first, last + 1)
        return cls(local[:MAX_ADDRESSES], public, ports, is_private and wanted == "auto")


def machine_addresses() -> list[str]:
    """Return the addresses of this machine's interfaces, without loopback and IPv6 link-local ones."""
    return aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True)


def _automatic(host: str, is_private: bool) -> tuple[str, ...]:
    machine = machine_addresses()
    if is_private:
        # Browsers on this machine only. Firefox refuses loopback candidates and takes the others.
        return ("127.0.0.1" if host.lower() == "localhost" else host, *machine)
    return (host,) if host in machine else tuple(machine) or ("127.0.0.1",)


def _checked(address: str) -> str:
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError as exc:
        raise InvalidSettings(
            f"ice_addresses has {address!r}, which is no address of this machine.",
            remedy="Put the address of a NAT or of a container's host, and names, in ice_public_addresses.",
        ) from exc
    return address


class _StunProtocol(aioice.ice.StunProtocol):
    """Drops datagrams from other addresses than `own` unread; None: reads all."""

    def __init__(self, ice: aioice.ice.Connection, own: Collection[str] | None) -> None:
        super().__init__(ice)
        self._own = own

    def datagram_received(self, data: bytes | str, addr: tuple[object, ...]) -> None:
        if self._own is None or addr[0] in self._own:
            super().datagram_received(data, addr)


def gather_at(connection: RTCPeerConnection, candidates: IceCandidates) -> None:
    """Make a connection that has no candidates yet gather them at these addresses and ports.

    Its `setLocalDescription` raises LimitReached if no socket can be opened.
    """
    for part in (*(each.receiver for each in connection.getTransceivers()), connection.sctp):
        if part is not None:
            ice = part.transport.transport.iceGatherer._connection
            vars(ice)["get_component_candidates"] = partial(_gather, ice, candidates)


async def _gather(ice: aioice.ice.Connection, candidates: IceCandidates, **_: object) -> list[Candidate]:
    own = candidates.local if candidates.same_machine_only else None
    loop, priority = asyncio.get_running_loop(), candidate_priority(1, "host")
    for address in candidates.local:
        for wanted in candidates.ports:
            try:
                transport, protocol = await loop.create_datagram_endpoint(
                    lambda: _StunProtocol(ice, own), (address, wanted)
                )
            except OSError:  # in use, or no address of this machine any more
                continue
            opened: socket.socket = transport.get_extra_info("socket")
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, aioice.turn.UDP_SOCKET_BUFFER_SIZE)
            port, foundation = opened.getsockname()[1], candidate_foundation("host", "udp", address)
            protocol.local_candidate = Candidate(foundation, 1, "udp", priority, address, port, "host")
            ice._protocols.append(protocol)
            break
    if not ice._protocols:
        raise LimitReached("No UDP port is free for WebRTC.", remedy="See ice_udp_ports.")
    return [protocol.local_candidate for protocol in ice._protocols]


async def with_public_addresses(sdp: str, public: Sequence[str]) -> str:
    """Return an answer that offers each host candidate at the `public` addresses first, of its family."""
    addresses = [address for name in public for address in await resolve_addresses(name)]

    def added(own: re.Match[str]) -> str:
        same = [address for address in addresses if (":" in address) == (":" in own[2])]
        more = [f"a=candidate:public{n} {own[1]} {address} {own[3]}" for n, address in enumerate(same)]
        return "\r\n".join((*more, own[0]))

    return re.sub(r"a=candidate:\S+ (1 udp \d+) (\S+) (\d+ typ host)", added, sdp)


async def resolve_addresses(name: str) -> list[str]:
    """Return the addresses of a name or address; none, with a line in the log, if it does not resolve."""
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError, TimeoutError):
        log.warning("webrtc: %s of ice_public_addresses does not resolve, and is left out", name)
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
