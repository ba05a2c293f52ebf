"""Other servers: how many are kept and for how long, and which of their replies are events, of the LAN or of a boot."""

from dataclasses import replace
from ipaddress import IPv4Address

import structlog
from fixtures.services import FIRMWARE, IPXE, MAC, UNKNOWN_MAC, BuiltServices, WithServices

from netboot.boot.sessions.machines_seen import OTHER_SERVERS
from netboot.boot.sessions.other_servers import REPORTED_FILES, SERVERS, OtherServers
from netboot.events.event_limits import PER_LAN
from netboot.model.boot.other_server import Here, ServerEffect, ServerKind, ServerReply
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event

SERVER, CARD = IPv4Address("192.0.2.254"), Mac.parse("52:54:00:00:00:fe")
HERE = Here((IPv4Address("192.0.2.10"),))
LEASE = ServerReply(ServerKind.DHCP, SERVER, CARD, MAC, 7, False, False, "", "")
BOOT_LEASE = replace(LEASE, boot_file="pxelinux.0", next_server="192.0.2.9")
PROXY = replace(LEASE, kind=ServerKind.PROXY, has_pxe_option=True)
BOOT = replace(FIRMWARE, exchange=7)


def observed(services: BuiltServices) -> OtherServers:
    return OtherServers(services.seen, hosts=services.registry.hosts, events=services.event_bus, clock=services.clock)


async def events(services: BuiltServices, name: str = "lan.server_seen") -> list[Event]:
    return [event for event in await services.events() if event.name == name]


def test_a_server_is_one_event_until_it_does_something_else(with_services: WithServices) -> None:
    async def scenario(services: BuiltServices) -> list[object]:
        others = observed(services)
        services.offer(BOOT)
        with structlog.testing.capture_logs() as lines:
            for reply in (LEASE, LEASE, BOOT_LEASE, BOOT_LEASE, LEASE, BOOT_LEASE):
                others.record(reply, HERE, interface="s0")
        assert [line["log_level"] for line in lines if line["event"] == "lan.server_seen"] == ["info", "warning"] * 2
        assert [server.offers for server in others.current()] == [6]
        return [event.data["effect"] for event in await events(services)]

    assert with_services(scenario) == ["none", "boot-file", "none", "boot-file"]


def test_an_event_has_server_boot_file_sentence_and_cure_and_no_machine(with_services: WithServices) -> None:
    async def scenario(services: BuiltServices) -> None:
        others = observed(services)
        others.record(BOOT_LEASE, HERE, interface="s0")
        (server,), (event,) = others.current(), await events(services)
        assert (event.host, event.mac, event.step) == (None, None, None)
        assert event.data == {
            "address": "192.0.2.254",
            "server_mac": CARD,
            "interface": "s0",
            "kind": "dhcp",
            "effect": "boot-file",
            "boot_file": "pxelinux.0",
            "next_server": "192.0.2.9",
            "sentence": server.sentence,
            "cure": server.cure,
        }

    with_services(scenario)


def test_a_server_with_a_file_for_each_machine_is_a_few_events(with_services: WithServices) -> None:
    async def scenario(services: BuiltServices) -> int:
        others = observed(services)
        for number in range(3 * REPORTED_FILES):
            services.clock.pass_(30)
            others.record(replace(BOOT_LEASE, boot_file=f"{number}.efi"), HERE, interface="s0")
        return len(await events(services))

    assert with_services(scenario) == REPORTED_FILES


def test_the_dhcp_and_the_pxe_server_of_one_address_and_those_of_two_interfaces_are_each_its_own(
    with_services: WithServices,
) -> None:
    async def scenario(services: BuiltServices) -> set[tuple[str, str]]:
        others = observed(services)
        for interface in ("s0", "s1"):
            for reply in (LEASE, PROXY, LEASE):
                others.record(reply, HERE, interface=interface)
        return {(server.interface, server.kind.value) for server in others.current()}

    assert with_services(scenario) == {(name, kind) for name in ("s0", "s1") for kind in ("dhcp", "proxy")}


def test_of_a_flood_of_forged_servers_the_newest_are_kept_and_a_few_are_events(with_services: WithServices) -> None:
    async def scenario(services: BuiltServices) -> None:
        others = observed(services)
        for number in range(2000):
            others.record(replace(BOOT_LEASE, server=SERVER + number), HERE, interface="s0")
        kept = others.current()
        assert [server.address for server in kept] == [SERVER + 1999 - number for number in range(SERVERS)]
        assert len(await events(services)) == PER_LAN
        services.clock.pass_(61)
        *_, count = await events(services)
        assert count.data["count"] == 2000 - PER_LAN

    with_services(scenario)


def test_a_server_that_is_not_seen_for_a_day_is_forgotten(with_services: WithServices) -> None:
    async def scenario(services: BuiltServices) -> None:
        others = observed(services)
        others.record(LEASE, HERE, interface="s0")
        services.clock.pass_(20 * 3600)
        others.record(PROXY, HERE, interface="s0")
        assert len(others.current()) == 2
        services.clock.pass_(5 * 3600)
        assert [server.kind for server in others.current()] == [ServerKind.PROXY]
        services.clock.pass_(20 * 3600)
        assert others.current() == []

    with_services(scenario)


def test_the_boot_of_a_machine_that_was_offered_another_is_an_event_once_for_each_server(
    with_services: WithServices,
) -> None:
    async def scenario(services: BuiltServices) -> None:
        others = observed(services)
        unregistered = replace(PROXY, client=UNKNOWN_MAC)
        services.offer(BOOT)
        services.offer(replace(BOOT, mac=UNKNOWN_MAC))
        for reply in (LEASE, BOOT_LEASE, BOOT_LEASE, unregistered, unregistered):
            others.record(reply, HERE, interface="s0")
        found = await events(services, "boot.offered_elsewhere")
        assert [(event.host, event.mac, event.data["effect"]) for event in found] == [
            ("cp1", MAC, "boot-file"),
            (None, UNKNOWN_MAC, "pxe-server"),
        ]

        services.clock.pass_(300)
        services.offer(replace(BOOT, exchange=8))
        others.record(replace(BOOT_LEASE, exchange=8), HERE, interface="s0")
        assert len(await events(services, "boot.offered_elsewhere")) == 3

    with_services(scenario)


def test_a_reply_to_its_loader_counts_as_well(with_services: WithServices) -> None:
    async def scenario(services: BuiltServices) -> int:
        others = observed(services)
        services.offer(BOOT)
        services.offer(replace(IPXE, exchange=9))
        others.record(replace(PROXY, exchange=9), HERE, interface="s0")
        return len(await events(services, "boot.offered_elsewhere"))

    assert with_services(scenario) == 1


def test_a_reply_outside_the_exchange_of_a_boot_request_is_no_evidence_of_a_boot(with_services: WithServices) -> None:
    async def scenario(services: BuiltServices) -> list[Event]:
        others = observed(services)
        services.offer(BOOT)
        others.record(replace(BOOT_LEASE, exchange=1), HERE, interface="s0")  # its running system takes a lease
        others.record(replace(BOOT_LEASE, client=UNKNOWN_MAC), HERE, interface="s0")
        return await events(services, "boot.offered_elsewhere")

    assert with_services(scenario) == []


def test_forged_servers_cause_a_few_events_of_one_boot(with_services: WithServices) -> None:
    async def scenario(services: BuiltServices) -> int:
        others = observed(services)
        services.offer(BOOT)
        for number in range(100):
            others.record(replace(PROXY, server=SERVER + number), HERE, interface="s0")
        return len(await events(services, "boot.offered_elsewhere"))

    assert with_services(scenario) == OTHER_SERVERS


def test_a_lease_beside_ours_is_evidence_also_without_a_boot_file(with_services: WithServices) -> None:
    async def scenario(services: BuiltServices) -> list[object]:
        others = observed(services)
        services.offer(BOOT)
        others.record(LEASE, replace(HERE, leases=True), interface="s0")
        return [event.data["effect"] for event in await events(services, "boot.offered_elsewhere")]

    assert with_services(scenario) == ["leases"]


def test_a_server_that_a_machine_chose_is_kept_until_its_replies_are_seen(with_services: WithServices) -> None:
    async def scenario(services: BuiltServices) -> list[object]:
        others = observed(services)
        services.offer(BOOT)
        for _ in range(2):
            others.record_choice(SERVER, HERE, interface="s0")
        assert [(server.effect, server.offers) for server in others.current()] == [(ServerEffect.UNSEEN, 0)]
        others.record(BOOT_LEASE, HERE, interface="s0")
        services.clock.pass_(60)
        others.record_choice(SERVER, HERE, interface="s0")
        (server,) = others.current()
        assert (server.effect, server.offers, server.last_seen) == (ServerEffect.BOOT_FILE, 1, services.clock.now())
        return [event.data["effect"] for event in await events(services)]

    assert with_services(scenario) == ["unseen", "boot-file"]
