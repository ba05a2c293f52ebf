"""Packets and requests find their machine and boot, are limited, and are stored without secrets."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from ipaddress import IPv4Address
from typing import Any

import pytest
from fixtures.services import (
    ADDRESS,
    FIRMWARE,
    IPXE,
    MAC,
    OTHER_ADDRESS,
    OTHER_MAC,
    UNKNOWN_ADDRESS,
    UNKNOWN_MAC,
    BuiltServices,
    WithServices,
)

from netboot.boot.records import packet_capture, running_boots
from netboot.boot.records.packet_capture import ALL_PACKETS_AT_ONCE, PACKETS_AT_ONCE, PacketCapture
from netboot.boot.records.running_boots import RunningBoots
from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.record_files import Owner, RecordFiles, RecordKind
from netboot.boot_records.record_writer import RecordWriter
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.captured_packet import CapturedPacket, CapturedRequest, Protocol
from netboot.model.clock import Clock
from netboot.model.host.host import Host, HostName
from netboot.model.host.mac import Mac
from netboot.model.host.network import Interface
from netboot.telemetry.metrics import Metrics
from netboot.wire import pcapng
from netboot.wire.pcapng import Packet

CP1, W1 = HostName("cp1"), HostName("w1")
UNKNOWN = BootClient(UNKNOWN_MAC, Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE)
TOKEN = "0123456789abcdef" * 2
SERVER = ("192.0.2.10", 8080)


def request(target: str, *, address: IPv4Address = ADDRESS, **fields: str) -> CapturedRequest:
    named = {name.replace("_", "-"): text for name, text in fields.items()}
    return CapturedRequest((str(address), 49152), SERVER, "GET", target, named)


class Recorded:
    """The service of a scenario, and what it stored."""

    def __init__(self, services: BuiltServices) -> None:
        self.clock = clock = Clock(services.clock.now, services.clock.monotonic, services.clock.random_bytes)
        self.files = RecordFiles(services.directory / "records")
        budget = DiskBudget(self.files, 1 << 30, now=clock.now)
        self.writer = RecordWriter(budget, Metrics(), application="netboot")
        boots = RunningBoots(services.seen, services.identification, clock)
        self.capture = PacketCapture(boots, self.writer, install_moves=services.install_moves, clock=clock)

    def packet(self, data: bytes = b"x") -> CapturedPacket:
        ends = {"source": (str(ADDRESS), 2070), "destination": ("192.0.2.10", 69)}
        return CapturedPacket(Protocol.TFTP, self.clock.now(), "eno2", **ends, data=data, is_sent=False)

    def send(self, mac: Mac, *packets: bytes) -> None:
        made = ((mac, self.packet(data)) for data in packets)
        self.capture.record_of_cards(made, len(packets))

    def leave(self, number: int) -> None:
        """Let the packets of all machines that may come now be so many."""
        self.capture._all.has_some(self.clock.monotonic())
        self.capture._all.left = number

    async def stored(self, owner: Owner = CP1) -> list[list[Packet]]:
        """The packets of each boot of a machine."""
        await self.writer.close()
        return [list(_packets(record.path.read_bytes())) for record in self.files.of(owner, RecordKind.CAPTURE)]

    def counted(self, sample: str) -> str | None:
        lines = self.writer.counters.exposition().decode().splitlines()
        return next((line.rpartition(" ")[2] for line in lines if line.startswith(f"netboot_captured_{sample}")), None)


def _packets(data: bytes) -> Iterator[Packet]:
    return (pcapng.read_packet(block) for kind, block in pcapng.blocks(data) if kind == pcapng.BlockType.PACKET)


def datagrams(packets: list[Packet]) -> list[bytes]:
    return [packet.data[42:] for packet in packets]


@pytest.fixture
def recorded(with_services: WithServices) -> Callable[[Callable[[BuiltServices, Recorded], Awaitable[Any]]], Any]:
    def run(scenario: Callable[[BuiltServices, Recorded], Awaitable[Any]]) -> Any:
        async def inside(services: BuiltServices) -> Any:
            return await scenario(services, Recorded(services))

        return with_services(inside)

    return run


Run = Callable[[Callable[[BuiltServices, Recorded], Awaitable[Any]]], Any]


def test_a_packet_belongs_to_the_card_that_sent_it_or_to_the_machine_that_has_its_address(recorded: Run):
    async def scenario(services: BuiltServices, found: Recorded) -> None:
        services.boots(FIRMWARE, IPXE)
        services.boots(BootClient(OTHER_MAC, Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE), address=OTHER_ADDRESS)
        found.send(MAC, b"of cp1")
        found.send(OTHER_MAC, b"of w1")
        found.capture.record_at(str(ADDRESS), found.packet(b"by address"))
        found.capture.record_at("192.0.2.99", found.packet())
        found.capture.record_at("fe80::1", found.packet())

        assert [datagrams(boot) for boot in await found.stored()] == [[b"of cp1", b"by address"]]
        assert [datagrams(boot) for boot in await found.stored(W1)] == [[b"of w1"]]
        assert found.counted('packets_total{protocol="tftp"}') == "3.0"
        assert found.counted('packets_dropped_total{reason="unknown-address"}') == "2.0"

    recorded(scenario)


def test_a_machine_that_requested_no_boot_here_is_not_recorded(recorded: Run):
    async def scenario(services: BuiltServices, found: Recorded) -> None:
        found.send(UNKNOWN_MAC, b"x")
        found.send(MAC, b"x")
        assert await found.stored() == await found.stored(UNKNOWN_MAC) == []
        assert found.counted('packets_dropped_total{reason="no-boot"}') == "2.0"

        services.boots(UNKNOWN, address=UNKNOWN_ADDRESS)
        found.send(UNKNOWN_MAC, b"y")
        assert [datagrams(boot) for boot in await found.stored(UNKNOWN_MAC)] == [[b"y"]]

    recorded(scenario)


def test_each_boot_has_a_capture_beside_its_log(recorded: Run):
    async def scenario(services: BuiltServices, found: Recorded) -> None:
        services.boots(FIRMWARE)
        began = services.clock.now()
        services.clock.pass_(10)
        found.send(MAC, b"first")
        services.clock.pass_(300)
        services.boots(FIRMWARE)
        found.send(MAC, b"second")

        assert [datagrams(boot) for boot in await found.stored()] == [[b"first"], [b"second"]]
        times = [record.began_at for record in found.files.of(CP1, RecordKind.CAPTURE)]
        assert times == [began, began + timedelta(seconds=310)]

    recorded(scenario)


def test_a_machine_has_a_limit_and_the_file_counts_what_is_beyond_it(recorded: Run):
    async def scenario(services: BuiltServices, found: Recorded) -> None:
        services.boots(FIRMWARE)
        found.send(MAC, *[b"x"] * (PACKETS_AT_ONCE + 7))
        services.clock.pass_(0.1)
        found.send(MAC, b"after")

        [boot] = await found.stored()
        assert len(boot) == PACKETS_AT_ONCE + 1
        assert (datagrams(boot)[-1], boot[-1].lost, boot[-2].lost) == (b"after", 7, 0)
        assert found.counted('packets_dropped_total{reason="rate"}') == "7.0"

    recorded(scenario)


def test_unregistered_machines_leave_half_of_the_packets_to_hosts(recorded: Run, monkeypatch: pytest.MonkeyPatch):
    async def scenario(services: BuiltServices, found: Recorded) -> None:
        services.boots(FIRMWARE)
        services.boots(UNKNOWN, address=UNKNOWN_ADDRESS)
        found.send(UNKNOWN_MAC, *[b"x"] * ALL_PACKETS_AT_ONCE)
        found.send(MAC, *[b"x"] * ALL_PACKETS_AT_ONCE)
        found.capture.record_at(str(ADDRESS), found.packet())
        found.send(MAC, b"x", b"x")

        assert [len(boot) for boot in await found.stored(UNKNOWN_MAC)] == [ALL_PACKETS_AT_ONCE / 2]
        assert [len(boot) for boot in await found.stored()] == [ALL_PACKETS_AT_ONCE / 2]
        assert found.counted('packets_dropped_total{reason="rate"}') == f"{ALL_PACKETS_AT_ONCE + 3}.0"

    monkeypatch.setattr(packet_capture, "PACKETS_AT_ONCE", 100_000)
    recorded(scenario)


def test_beyond_the_limit_of_all_no_packet_is_made(recorded: Run):
    async def scenario(services: BuiltServices, found: Recorded) -> int:
        services.boots(FIRMWARE)
        found.leave(2)
        made = list[int]()

        def packets() -> Iterator[tuple[Mac, CapturedPacket]]:
            for number in range(64):
                made.append(number)
                yield MAC, found.packet()

        found.capture.record_of_cards(packets(), 64)
        found.capture.record_of_cards(packets(), 64)
        assert found.counted('packets_dropped_total{reason="rate"}') == "126.0"
        return len(made)

    assert recorded(scenario) == 2


def test_the_number_of_machines_in_memory_is_bounded(recorded: Run, monkeypatch: pytest.MonkeyPatch):
    async def scenario(services: BuiltServices, found: Recorded) -> None:
        services.boots(FIRMWARE)
        services.boots(UNKNOWN, address=UNKNOWN_ADDRESS)
        for mac in (MAC, UNKNOWN_MAC, MAC):
            found.send(mac, *[b"x"] * (PACKETS_AT_ONCE + 1))
        assert found.counted('packets_dropped_total{reason="rate"}') == "3.0"

    monkeypatch.setattr(packet_capture, "MACHINES", 1)
    monkeypatch.setattr(packet_capture, "ALL_PACKETS_AT_ONCE", 100_000)
    recorded(scenario)


def test_packets_that_the_disk_does_not_take_are_counted_in_the_next_one(
    recorded: Run, monkeypatch: pytest.MonkeyPatch
):
    async def scenario(services: BuiltServices, found: Recorded) -> None:
        services.boots(FIRMWARE)
        found.send(MAC, b"x", b"lost", b"lost too")
        assert found.counted('packets_dropped_total{reason="queue-full"}') == "2.0"
        await found.writer.close()
        found.send(MAC, b"after")

        [boot] = await found.stored()
        assert [(data, packet.lost) for data, packet in zip(datagrams(boot), boot, strict=True)] == [
            (b"x", 0),
            (b"after", 2),
        ]

    monkeypatch.setattr("netboot.boot_records.record_writer.MOST_PACKETS_WAITING", 1)
    recorded(scenario)


def test_a_request_has_its_line_and_fields_and_its_answer_a_comment(recorded: Run):
    async def scenario(services: BuiltServices, found: Recorded) -> None:
        services.boots(FIRMWARE)
        found.capture.note_interfaces([Interface("eno2", 1, IPv4Address("192.0.2.10"), (IPv4Address("192.0.2.10"),))])
        sent_request = request(
            "/boot/a%20b?x=1", host="192.0.2.10:8080", user_agent="iPXE/1.21", authorization="Basic eDp5"
        )
        found.capture.record_request(sent_request)
        found.capture.record_answer(sent_request, 200, bytes_sent=1234)
        found.capture.record_answer(sent_request, 404)
        found.capture.record_request(request("/x", address=UNKNOWN_ADDRESS))
        found.capture.record_answer(request("/x", address=UNKNOWN_ADDRESS), 404)

        [[sent, answer, other]] = await found.stored()
        assert sent.data[54:] == (
            b"GET /boot/a%20b?x=1 HTTP/1.1\r\nhost: 192.0.2.10:8080\r\nuser-agent: iPXE/1.21\r\n\r\n"
        )
        assert [packet.comment for packet in (sent, answer, other)] == [
            "GET /boot/a%20b?x=1",
            "200, 1234 bytes: GET /boot/a%20b?x=1",
            "404: GET /boot/a%20b?x=1",
        ]
        assert [packet.is_sent for packet in (sent, answer, other)] == [False, True, True]
        [file] = found.files.of(CP1, RecordKind.CAPTURE)
        kinds = dict(pcapng.blocks(file.path.read_bytes()))
        assert pcapng.interface_name(kinds[pcapng.BlockType.INTERFACE]) == "eno2"
        assert found.counted('packets_dropped_total{reason="unknown-address"}') == "2.0"

    recorded(scenario)


def test_requests_beyond_the_limit_of_all_are_counted(recorded: Run):
    async def scenario(services: BuiltServices, found: Recorded) -> None:
        services.boots(FIRMWARE)
        found.leave(0)
        found.capture.record_request(request("/x"))
        found.capture.record_answer(request("/x"), 200)

        assert await found.stored() == []
        assert found.counted('packets_dropped_total{reason="rate"}') == "2.0"

    recorded(scenario)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (f"/ks/{TOKEN}", "/ks/TOKEN-HIDDEN"),
        (f"/report/{TOKEN}/log", "/report/TOKEN-HIDDEN/log"),
        (f"/ign/{TOKEN[:20]}", "/ign/hidden"),
        (f"/k%73/%30{TOKEN[1:]}", "/ks/TOKEN-HIDDEN"),
        (f"/ks/%2530{TOKEN[1:]}", "/ks/TOKEN-HIDDEN"),
        (f"/content/x?{TOKEN}", "/content/x?TOKEN-HIDDEN"),
        ("/x?password=geheim&y=1", "/x?password=hidden"),
        ("/x%0d%0aHost:%20y", "/x%EF%BF%BD%0AHost:%20y"),
        ("/\udcff", "/%EF%BF%BD"),
        (f"/{'a' * 2000}", f"/{'a' * 999}"),
    ],
)
def test_secrets_and_control_characters_of_a_target_are_hidden(recorded: Run, target: str, shown: str):
    async def scenario(services: BuiltServices, found: Recorded) -> None:
        services.boots(FIRMWARE)
        found.capture.record_request(request(target, user_agent=f"x {TOKEN}" + "y" * 1000))

        [[sent]] = await found.stored()
        assert sent.comment == f"GET {shown}"
        line, agent, *rest = sent.data[54:].split(b"\r\n")
        assert (line.decode(), rest) == (f"GET {shown} HTTP/1.1", [b"", b""])
        assert TOKEN.encode() not in agent
        assert len(agent) < 350

    recorded(scenario)


def test_a_request_beyond_the_limit_of_its_machine_is_not_read(recorded: Run):
    class Unread(str):
        def __getitem__(self, key: object) -> str:
            raise AssertionError("the target was read")

    async def scenario(services: BuiltServices, found: Recorded) -> None:
        services.boots(FIRMWARE)
        found.send(MAC, *[b"x"] * PACKETS_AT_ONCE)
        found.capture.record_request(request(Unread("/bootfiles/ipxe.efi")))
        found.capture.record_answer(request(Unread("/bootfiles/ipxe.efi")), 404)

        assert found.counted('packets_dropped_total{reason="rate"}') == "2.0"

    recorded(scenario)


def test_a_method_that_is_a_token_is_hidden(recorded: Run):
    async def scenario(services: BuiltServices, found: Recorded) -> None:
        services.boots(FIRMWARE)
        found.capture.record_request(request("/x")._replace(method=TOKEN))
        found.capture.record_answer(request("/x")._replace(method="X" * 5000), 405)

        [[sent, answer]] = await found.stored()
        assert sent.comment == "TOKEN-HIDDEN /x"
        assert TOKEN.encode() not in sent.data
        assert answer.comment == f"405: {'X' * 40} /x"

    recorded(scenario)


def test_the_secrets_of_a_host_are_read_for_requests_only(recorded: Run, monkeypatch: pytest.MonkeyPatch):
    read: list[HostName] = []

    def values(host: Host) -> tuple[str, ...]:
        read.append(host.name)
        return ("geheim",)

    monkeypatch.setattr(running_boots, "secret_values", values)

    async def scenario(services: BuiltServices, found: Recorded) -> None:
        services.boots(FIRMWARE)
        found.send(MAC, b"x", b"y")
        assert read == []
        found.capture.record_request(request("/geheim"))

        assert [packet.comment for packet in (await found.stored())[0]] == ["", "", "GET /hidden"]

    recorded(scenario)
