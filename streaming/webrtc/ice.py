"""The ICE candidates (RFC 8445) that an answer offers: local addresses, UDP ports, addresses besides.

aioice (0.13) opens a socket on a free port of every interface except loopback and has no option for either,
so `gather_at` replaces the method of a connection that does it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import aioice.ice
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aiortc import RTCPeerConnection

from streaming.errors import InvalidSettings, LimitReached, ServiceUnavailable
from streaming.url_guard import is_loopback

log = logging.getLogger(__name__)

MAX_ADDRESSES = 8
"""Most local addresses of a connection: each costs a socket."""

RESOLVE_TIMEOUT_S = 2.0


class IceSettings(Protocol):
    """The part of `streaming.settings.Settings` that concerns ICE."""

    @property
    def host(self) -> str: ...
    @property
    def server_names(self) -> list[str]: ...
    @property
    def ice_addresses(self) -> Literal["auto"] | list[str]: ...
    @property
    def ice_public_addresses(self) -> list[str]: ...
    @property
    def ice_udp_ports(self) -> tuple[int, int] | None: ...


@dataclass(frozen=True, slots=True)
class IceCandidates:
    """Where a connection opens its sockets, and what it offers."""

    local: tuple[str, ...]
    "Addresses of this machine at which sockets are opened."
    public: tuple[str, ...] = ()
    "Addresses or names offered besides, with the same ports."
    ports: Sequence[int] = (0,)
    "UDP ports to try; 0: any free one."
    own_only: bool = False
    "Whether datagrams of other machines are dropped unread."

    @classmethod
    def of(cls, settings: IceSettings) -> IceCandidates:
        """Return what the settings mean on this machine now. Raises InvalidSettings for what cannot work."""
        first, last = settings.ice_udp_ports or (0, 0)
        if first > last:
            raise InvalidSettings(
                f"ice_udp_ports {first} to {last} is no range.", remedy="Write [first, last]."
            )
        public = tuple(settings.ice_public_addresses)
        is_private = is_loopback(settings.host) and not settings.server_names
        if settings.ice_addresses == "auto":
            local = _automatic(settings.host, is_private)
        else:
            local = tuple(map(_checked, settings.ice_addresses))
            if not is_private and not public and all(map(is_loopback, local)):
                raise InvalidSettings(
                    "Others can reach the gateway, but no address of ice_addresses.",
                    remedy='Set it to "auto", or set ice_public_addresses.',
                )
        own_only = is_private and settings.ice_addresses == "auto"
        return cls(local[:MAX_ADDRESSES], public, range(first, last + 1), own_only)


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
        version = ipaddress.ip_address(address).version
        with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except (ValueError, OSError) as exc:
        raise InvalidSettings(
            f"ice_addresses has {address!r}, which is no address of this machine.",
            remedy="Put the address of a NAT or of a container's host, and names, in ice_public_addresses.",
        ) from exc
    return address


class _OwnStunProtocol(aioice.ice.StunProtocol):
    """Drops datagrams of other machines unread."""

    def datagram_received(self, data: bytes | str, addr: tuple[object, ...]) -> None:
        if is_loopback(str(addr[0])) or addr[0] in machine_addresses():
            super().datagram_received(data, addr)


def gather_at(connection: RTCPeerConnection, candidates: IceCandidates) -> None:
    """Make a connection gather at these addresses and ports, of whose candidates it has none yet."""

    def replace(ice: aioice.ice.Connection) -> None:
        async def gather(component: int, **_: object) -> list[Candidate]:
            return await _gather(ice, component, candidates)

        vars(ice)["get_component_candidates"] = gather

    for part in (*(each.receiver for each in connection.getTransceivers()), connection.sctp):
        if part is not None:
            replace(part.transport.transport.iceGatherer._connection)


async def _gather(ice: aioice.ice.Connection, component: int, candidates: IceCandidates) -> list[Candidate]:
    protocols = [await _open(ice, address, candidates) for address in candidates.local]
    opened = [protocol for protocol in protocols if protocol is not None]
    if not opened:
        if tuple(candidates.ports) == (0,):
            raise ServiceUnavailable(f"No UDP socket can be opened at {', '.join(candidates.local)}.")
        raise LimitReached("Every port of ice_udp_ports is in use.", remedy="End a session, or add ports.")
    for protocol in opened:
        host, port = protocol.transport.get_extra_info("sockname")[:2]
        protocol.local_candidate = Candidate(
            candidate_foundation("host", "udp", host),
            component,
            "udp",
            candidate_priority(component, "host"),
            host,
            port,
            "host",
        )
    ice._protocols += opened
    return [protocol.local_candidate for protocol in opened]


async def _open(
    ice: aioice.ice.Connection, address: str, candidates: IceCandidates
) -> aioice.ice.StunProtocol | None:
    """Open a socket on the first free port; None if there is none, or no such address (any more)."""
    kind = _OwnStunProtocol if candidates.own_only else aioice.ice.StunProtocol
    # A port just left may still get datagrams of its last peer: start anywhere.
    shift = secrets.randbelow(len(candidates.ports))
    for port in (*candidates.ports[shift:], *candidates.ports[:shift]):
        try:
            loop = asyncio.get_running_loop()
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: kind(ice), local_addr=(address, port)
            )
        except OSError:
            continue
        opened: socket.socket = transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, aioice.turn.UDP_SOCKET_BUFFER_SIZE)
        return protocol
    return None


async def with_public_addresses(sdp: str, public: Sequence[str]) -> str:
    """Return an answer that offers each host candidate at the `public` addresses first, of its family."""
    addresses = [address for name in public if (address := await resolve(name))]
    lines: list[str] = []
    for line in sdp.splitlines():
        if line.startswith("a=candidate:"):
            _, component, transport, priority, host, *rest = line.split()
            for number, address in enumerate(addresses):
                if (":" in address) == (":" in host):
                    head = f"a=candidate:public{number}"
                    lines.append(" ".join([head, component, transport, priority, address, *rest]))
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"


async def resolve(name: str) -> str | None:
    """Return the address of a name or address; None, with a line in the log, if it does not resolve."""
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError, TimeoutError):
        log.warning("webrtc: %s of ice_public_addresses does not resolve, and is left out", name)
        return None
    return str(found[0][4][0])
