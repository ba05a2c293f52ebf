"""What one packet makes of the listening: servers, requests, and what is left out."""

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address
from types import SimpleNamespace
from typing import Any

from fixtures.packets import message, opts

from netboot.doctor.listening.heard_changes import KEPT
from netboot.doctor.listening.judged_request import HostStates, JudgedRequest, RequestJudge
from netboot.doctor.listening.listen import SERVERS, Heard, HeardMachine, HeardServer, Listening, ListeningInputs
from netboot.model.boot.offer import Policy, UnknownHosts
from netboot.model.boot.other_server import Here, ServerEffect
from netboot.model.host.host import Cluster, HostSet
from netboot.model.host.network import DhcpMode
from netboot.wire.frames import UdpDatagram

OWN, SERVER = IPv4Address("192.0.2.10"), IPv4Address("192.0.2.254")
EVERYBODY, NOBODY = IPv4Address("255.255.255.255"), IPv4Address(0)
CARD = bytes.fromhex("0200000000fe")


def reply(*more: tuple[int, bytes], yiaddr: bytes = bytes((192, 0, 2, 100)), xid: int = 0x1234) -> bytes:
    data = message([(53, b"\2"), *more], op=2, xid=xid)
    return data[:16] + yiaddr + data[20:]


def from_server(data: bytes, source: IPv4Address = SERVER) -> UdpDatagram:
    return UdpDatagram(source, 67, EVERYBODY, 68, data)


def from_machine(data: bytes, port: int = 67) -> UdpDatagram:
    return UdpDatagram(NOBODY, 68, EVERYBODY, port, data)


def heard_of(datagrams: Sequence[UdpDatagram], *, card: bytes = CARD) -> tuple[list[Any], Listening]:
    """Pass datagrams of `s0` to an appliance without hosts; return what it reports."""
    registry: Any = SimpleNamespace(hosts=HostSet(Cluster("")), policy=Policy(UnknownHosts.IGNORE, {}))
    found: list[Heard] = []

    async def states() -> HostStates:
        return HostStates()

    async def scenario() -> Listening:
        judge = RequestJudge(registry, DhcpMode.PROXY, frozenset({OWN}))
        given = ListeningInputs(("s0",), judge, Here(frozenset({OWN})), states)
        listening = Listening(given, found.append)
        for datagram in datagrams:
            listening._receive("s0", datagram, card)
        return listening

    return found, asyncio.run(scenario())


def test_a_dhcp_server_is_shown_once_and_again_when_it_sends_a_boot_file() -> None:
    found, _ = heard_of([from_server(reply()), from_server(reply()), from_server(reply((67, b"pxelinux.0")))])

    assert [each.server.effect for each in found] == [ServerEffect.NONE, ServerEffect.BOOT_FILE]


def test_a_corrected_server_is_shown_after_the_same_machine_boots_again() -> None:
    boots = [from_machine(message(opts())), from_server(reply((67, b"pxelinux.0")))]
    found, _ = heard_of([*boots, from_machine(message(opts())), from_server(reply())])

    assert [each.server.effect for each in found if isinstance(each, HeardServer)] == [
        ServerEffect.BOOT_FILE,
        ServerEffect.NONE,
    ]


def test_a_server_whose_replies_are_not_received_is_named_by_the_request_for_its_lease() -> None:
    request = message(opts(kind=3, more=[(54, SERVER.packed), (50, bytes((192, 0, 2, 100)))]))
    found, _ = heard_of([from_machine(request), from_machine(request)])

    assert [each.server.effect for each in found] == [ServerEffect.UNSEEN]


def test_own_replies_and_what_is_no_dhcp_are_not_shown() -> None:
    own = [from_server(reply(), OWN), from_server(reply((54, OWN.packed)))]
    nothing = [from_machine(b"x"), from_machine(message(opts()), 68), from_server(reply(yiaddr=bytes(4)))]

    assert heard_of([*own, *nothing])[0] == []


def test_a_server_without_a_unicast_card_is_shown_without_it() -> None:
    (found,), _ = heard_of([from_server(reply())], card=b"\xff" * 6)

    assert found.server.mac is None


def test_forged_servers_and_machines_are_bounded() -> None:
    servers = [from_server(reply(), IPv4Address(0xC0000200 + number)) for number in range(20, 20 + 3 * SERVERS)]
    chaddrs = [b"\x52\x54\x00" + number.to_bytes(3, "big") for number in range(2 * KEPT)]
    found, listening = heard_of([*servers, *(from_machine(message(opts(), chaddr=each)) for each in chaddrs)])

    assert len(found) == 60
    assert listening.changes.left_out == 3 * SERVERS + 2 * KEPT - 60
    assert len(listening._requested) == KEPT
    assert len(listening._servers) == SERVERS


def test_results_are_written_as_what_is_offered() -> None:
    shown = {
        result: JudgedRequest(None, firmware=firmware, result=result, boot_file="snponly.efi").result_text
        for firmware, result in (("http/x64-uefi-http", "loader"), ("pxe/x64-uefi", "local-disk"), ("", "nothing"))
    }

    assert shown == {
        "loader": "would be offered the loader snponly.efi by HTTP",
        "local-disk": "would be offered the end of its network boot",
        "nothing": "would be offered nothing",
    }


def test_a_machine_is_reported_with_its_interface_and_port() -> None:
    (found,), _ = heard_of([from_machine(message(opts()))])

    assert isinstance(found, HeardMachine)
    assert (found.interface, found.port, found.request.result) == ("s0", 67, "nothing")
