import re
import socket

import pytest

from lab.fixtures.ports import free_port
from streaming.errors import InvalidSettings, LimitReached
from streaming.settings import Settings
from streaming.webrtc.ice import IceCandidates, machine_addresses, resolve_addresses, with_public_addresses
from streaming.webrtc.peer import create_answer, new_connection, parse_offer, set_remote_offer
from tests.peers import Peer

MACHINE = tuple(machine_addresses())
OTHERS = MACHINE or ("127.0.0.1",)


async def answered(peer: Peer, **settings: object) -> tuple[str, list[tuple[str, int]]]:
    """Return the answer to an offer to watch, and the (address, port) of its candidates."""
    connection = new_connection()
    try:
        offer = parse_offer(await peer.offer_to_watch(), "")
        await set_remote_offer(connection, offer)
        answer = await create_answer(connection, offer, Settings(**settings))
    finally:
        await connection.close()
    found = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", answer)
    return answer, [(address, int(port)) for address, port in found]


@pytest.mark.parametrize(
    ("settings", "local", "same_machine_only"),
    [
        ({}, ("127.0.0.1", *MACHINE), True),
        ({"host": "localhost"}, ("127.0.0.1", *MACHINE), True),
        ({"host": "::1"}, ("::1", *MACHINE), True),
        ({"server_names": ["cam.example"]}, OTHERS, False),
        ({"ice_public_addresses": ["203.0.113.9"]}, OTHERS, False),
        ({"host": "0.0.0.0"}, OTHERS, False),
        ({"host": "::"}, OTHERS, False),
        ({"host": "192.0.2.200"}, OTHERS, False),
        ({"ice_addresses": ["127.0.0.1"]}, ("127.0.0.1",), False),
        *[({"host": address}, (address,), False) for address in MACHINE],
    ],
)
def test_addresses_follow_from_where_the_gateway_listens(settings, local, same_machine_only):
    found = IceCandidates.of(Settings(**settings))
    assert (found.local, found.same_machine_only) == (local[:8], same_machine_only)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"ice_addresses": ["198.51.100.7"]}, "'198.51.100.7', which is no address of this machine.*public"),
        ({"ice_addresses": ["cam.example"]}, "'cam.example', which is no address"),
        ({"host": "0.0.0.0", "ice_addresses": ["127.0.0.1"]}, "Others can reach the gateway"),
        ({"server_names": ["cam.example"], "ice_addresses": ["127.0.0.1"]}, "Others can reach"),
        ({"ice_udp_ports": (50_001, 50_000)}, "is no range"),
    ],
)
def test_what_cannot_work_is_refused_with_its_setting(settings, fault):
    with pytest.raises(InvalidSettings, match=fault):
        IceCandidates.of(Settings(**settings))


async def test_sockets_are_opened_in_the_range_of_ports_until_it_is_used_up(peer, other_peer):
    first = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", first))
        ports = {"ice_addresses": ["127.0.0.1"], "ice_udp_ports": (first, first)}
        with pytest.raises(LimitReached, match="ice_udp_ports"):
            await answered(peer, **ports)
    assert (await answered(other_peer, **ports))[1] == [("127.0.0.1", first)]


async def test_public_addresses_are_offered_first_at_the_same_port(peer):
    local = {
        "ice_addresses": ["127.0.0.1"],
        "ice_public_addresses": ["203.0.113.9", "2001:db8::1", "localhost"],
    }
    _, [public, name, own] = await answered(peer, **local)
    assert [public[0], name[0], own[0]] == ["203.0.113.9", "127.0.0.1", "127.0.0.1"]
    assert public[1] == name[1] == own[1]


async def test_a_name_that_does_not_resolve_is_left_out():
    assert await resolve_addresses("203.0.113.9") == ["203.0.113.9"]
    assert await resolve_addresses("nowhere.invalid") == await resolve_addresses("x" * 300) == []
    assert await with_public_addresses("v=0\r\n", ["nowhere.invalid"]) == "v=0\r\n"


async def test_an_answer_can_still_be_parsed_with_public_addresses(peer):
    answer, _ = await answered(peer, ice_addresses=["127.0.0.1"], ice_public_addresses=["203.0.113.9"])
    await peer.accept(answer)


async def test_datagrams_of_other_machines_are_dropped_unread(monkeypatch):
    connection = new_connection()
    from streaming.webrtc import ice

    protocol = ice._StunProtocol(connection, ("127.0.0.1", *MACHINE))
    read = []
    monkeypatch.setattr(
        ice.aioice.ice.StunProtocol, "datagram_received", lambda _, data, addr: read.append(addr[0])
    )
    for address in ("127.0.0.1", *MACHINE, "198.51.100.7", "2001:db8::7"):
        protocol.datagram_received(b"", (address, 1))
    assert read == ["127.0.0.1", *MACHINE]
    await connection.close()
