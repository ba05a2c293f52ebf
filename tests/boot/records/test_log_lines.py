"""Lines of logs find their machine and boot, are limited, and are stored without secrets."""

import asyncio
import time
from collections.abc import Awaitable, Callable
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

from netboot.boot.records import log_lines
from netboot.boot.records.allowance import Allowance
from netboot.boot.records.log_lines import LINES_AT_ONCE, LINES_PER_S, LogLines, Transport
from netboot.boot.records.running_boots import RunningBoots
from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.record_files import Owner, RecordFiles, RecordKind
from netboot.boot_records.record_writer import RecordWriter
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.boot.log_line import LogLine, LogMessage, Severity
from netboot.model.clock import Clock
from netboot.model.host.host import HostName
from netboot.telemetry.metrics import Metrics

CP1 = HostName("cp1")


def parse(line: bytes) -> LogMessage | None:
    return LogMessage(Severity.INFO, "ipxe", line.decode()) if line else None


class Sent:
    """The service of a scenario, and what it stored."""

    def __init__(self, services: BuiltServices) -> None:
        clock = Clock(services.clock.now, services.clock.monotonic, services.clock.random_bytes)
        self.files = RecordFiles(services.directory / "logs")
        self.writer = RecordWriter(DiskBudget(self.files, 1 << 30, now=clock.now), Metrics(), application="netboot")
        self.lines = LogLines(
            RunningBoots(services.seen, services.identification, clock),
            self.writer,
            install_moves=services.install_moves,
            clock=clock,
        )

    def send(self, address: IPv4Address, *lines: bytes) -> None:
        self.lines.record(address, lines, parse, transport=Transport.UDP)

    async def stored(self, owner: Owner = CP1) -> list[list[str]]:
        """The texts of each boot of a machine."""
        await self.writer.close()
        return [
            [line.text for line in map(LogLine.of_json, boot.path.read_text().splitlines()) if line is not None]
            for boot in self.files.of(owner, RecordKind.LOG)
        ]

    def counted(self, sample: str) -> str | None:
        lines = self.writer.counters.exposition().decode().splitlines()
        return next((line.rpartition(" ")[2] for line in lines if line.startswith(sample)), None)


def with_lines(with_services: WithServices, scenario: Callable[[BuiltServices, Sent], Awaitable[Any]]) -> Any:
    async def run(services: BuiltServices) -> Any:
        return await scenario(services, Sent(services))

    return with_services(run)


def test_a_line_belongs_to_the_machine_that_has_its_address_now(with_services: WithServices):
    async def scenario(services: BuiltServices, sent: Sent) -> None:
        services.boots(FIRMWARE, IPXE)
        sent.send(ADDRESS, b"of cp1")
        sent.send(OTHER_ADDRESS, b"of nobody")
        services.offer_service.record_address(OTHER_MAC, ADDRESS, exchange=1)
        sent.send(ADDRESS, b"of w1")

        assert await sent.stored() == [["of cp1"]]
        assert await sent.stored(HostName("w1")) == [["of w1"]]
        assert sent.counted('netboot_log_lines_dropped_total{reason="unknown-address"}') == "1.0"
        assert sent.counted('netboot_log_lines_total{transport="udp"}') == "2.0"
        assert [sent.lines.is_known(each) for each in (ADDRESS, UNKNOWN_ADDRESS)] == [True, False]

    with_lines(with_services, scenario)


def test_an_unregistered_machine_has_a_log_under_its_mac(with_services: WithServices):
    async def scenario(services: BuiltServices, sent: Sent) -> None:
        client = BootClient(UNKNOWN_MAC, Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE)
        services.boots(client, address=UNKNOWN_ADDRESS)
        sent.send(UNKNOWN_ADDRESS, b"hello")

        assert await sent.stored(UNKNOWN_MAC) == [["hello"]]

    with_lines(with_services, scenario)


def test_each_boot_has_its_own_log_that_begins_with_the_boot(with_services: WithServices):
    async def scenario(services: BuiltServices, sent: Sent) -> None:
        services.boots(FIRMWARE, IPXE)
        first = services.clock.now()
        services.clock.pass_(10)
        sent.send(ADDRESS, b"first boot")
        services.clock.pass_(300)
        services.boots(FIRMWARE)
        services.clock.pass_(2)
        sent.send(ADDRESS, b"second boot")

        assert await sent.stored() == [["first boot"], ["second boot"]]
        began = [boot.began_at for boot in sent.files.of(CP1, RecordKind.LOG)]
        assert began == [first, first + timedelta(seconds=310)]

    with_lines(with_services, scenario)


def test_a_machine_whose_boot_was_not_seen_has_a_log_from_its_first_line_on(with_services: WithServices):
    async def scenario(services: BuiltServices, sent: Sent) -> None:
        services.offer_service.record_address(MAC, ADDRESS, exchange=1)
        at = services.clock.now()
        sent.send(ADDRESS, b"a", b"b")

        assert await sent.stored() == [["a", "b"]]
        assert [boot.began_at for boot in sent.files.of(CP1, RecordKind.LOG)] == [at]

    with_lines(with_services, scenario)


def test_lines_beyond_the_limit_are_counted_and_the_next_line_states_how_many(with_services: WithServices):
    async def scenario(services: BuiltServices, sent: Sent) -> None:
        services.boots(FIRMWARE, IPXE)
        sent.send(ADDRESS, *[b"x"] * (LINES_AT_ONCE + 100))
        services.clock.pass_(1)
        sent.send(ADDRESS, *[b"y"] * LINES_PER_S)

        [lines] = await sent.stored()
        assert sent.counted('netboot_log_lines_dropped_total{reason="rate"}') == "100.0"
        assert lines.count("y") == LINES_PER_S
        assert lines[LINES_AT_ONCE] == (
            "100 lines before this one were not kept: a machine may send 500 per second, and all machines together 4000"
        )

    with_lines(with_services, scenario)


def test_all_machines_together_have_a_limit_too(with_services: WithServices, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(log_lines, "ALL_LINES_AT_ONCE", 3)

    async def scenario(services: BuiltServices, sent: Sent) -> None:
        services.boots(FIRMWARE, IPXE)
        services.offer_service.record_address(OTHER_MAC, OTHER_ADDRESS, exchange=1)
        for address in (ADDRESS, OTHER_ADDRESS):
            sent.send(address, b"a", b"b")

        assert await sent.stored() == [["a", "b"]]
        assert await sent.stored(HostName("w1")) == [["a"]]
        assert sent.counted('netboot_log_lines_dropped_total{reason="rate"}') == "1.0"

    with_lines(with_services, scenario)


def test_unregistered_machines_leave_half_of_that_limit_to_hosts(
    with_services: WithServices, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(log_lines, "ALL_LINES_AT_ONCE", 6)

    async def scenario(services: BuiltServices, sent: Sent) -> None:
        services.boots(FIRMWARE, IPXE)
        services.boots(
            BootClient(UNKNOWN_MAC, Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE), address=UNKNOWN_ADDRESS
        )
        sent.send(UNKNOWN_ADDRESS, *[b"x"] * 6)
        sent.send(ADDRESS, b"a", b"b", b"c")
        assert [sent.lines.is_of_host(each) for each in (ADDRESS, UNKNOWN_ADDRESS)] == [True, False]

        assert await sent.stored(UNKNOWN_MAC) == [["x"] * 3]
        assert await sent.stored() == [["a", "b", "c"]]

    with_lines(with_services, scenario)


def test_a_line_without_a_text_is_counted_and_not_stored(with_services: WithServices):
    async def scenario(services: BuiltServices, sent: Sent) -> None:
        services.boots(FIRMWARE, IPXE)
        sent.send(ADDRESS, b"")

        assert await sent.stored() == []
        assert sent.counted('netboot_log_lines_dropped_total{reason="empty"}') == "1.0"

    with_lines(with_services, scenario)


def test_control_characters_tokens_and_other_secrets_are_not_stored(with_services: WithServices):
    async def scenario(services: BuiltServices, sent: Sent) -> None:
        await services.install_moves.arm_all([CP1], reason="test", attempts=3)
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)
        tokens = services.install_moves.known(CP1).tokens
        sent.send(ADDRESS, f"\x1b[2Jks/{tokens.kickstart} {tokens.report[:20]} token=abc".encode())

        [[line]] = await sent.stored()
        assert line == "\N{REPLACEMENT CHARACTER}[2Jks/TOKEN-HIDDEN TOKEN-HIDDEN token=hidden"

    with_lines(with_services, scenario)


def test_what_a_host_reports_with_its_token_is_its_own_also_if_it_was_removed(with_services: WithServices):
    async def scenario(services: BuiltServices, sent: Sent) -> None:
        host = services.hosts.hosts[CP1]
        sent.lines.record_report(host, ADDRESS, [b"declared"], parse)
        sent.lines.record_report(HostName("gone"), ADDRESS, [b"removed"], parse)

        assert await sent.stored() == [["declared"]]
        assert await sent.stored(HostName("gone")) == [["removed"]]
        assert sent.counted('netboot_log_lines_total{transport="report"}') == "2.0"

    with_lines(with_services, scenario)


def test_the_limits_in_memory_are_of_a_bounded_number_of_machines(
    with_services: WithServices, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(log_lines, "MACHINES", 1)

    async def scenario(services: BuiltServices, sent: Sent) -> None:
        for name in ("a", "b", "a"):
            sent.lines.record_report(HostName(name), ADDRESS, [b"x"] * (LINES_AT_ONCE + 1), parse)
            await sent.writer.close()

        assert sent.counted('netboot_log_lines_dropped_total{reason="rate"}') == "3.0"

    monkeypatch.setattr(log_lines, "ALL_LINES_AT_ONCE", 100_000)
    with_lines(with_services, scenario)


def test_an_allowance_is_refilled_with_time_up_to_its_most():
    allowance = Allowance(per_s=8, at_once=5, left=5)

    taken = [sum(allowance.admit(now_s) for _ in range(20)) for now_s in (0.0, 0.125, 0.375, 100.0)]

    assert taken == [5, 1, 2, 5]


def test_a_flood_costs_little_once_it_is_over_the_limit(with_services: WithServices):
    async def scenario(services: BuiltServices, sent: Sent) -> float:
        services.boots(FIRMWARE, IPXE)
        sent.send(ADDRESS, *[b"x"] * LINES_AT_ONCE)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        sent.send(ADDRESS, *[b"x" * 200] * 10_000)
        return loop.time() - began_s

    assert with_lines(with_services, scenario) < 1.0  # on a busy computer; idle it takes 0.02 s


def test_lines_beyond_the_limit_are_dropped_together(with_services: WithServices):
    async def scenario(services: BuiltServices, sent: Sent) -> float:
        services.boots(FIRMWARE, IPXE)
        sent.send(ADDRESS, *[b"x"] * LINES_AT_ONCE)
        flood = [b"x"] * 1_000_000
        began_s = time.process_time()
        sent.send(ADDRESS, *flood)
        spent_s = time.process_time() - began_s
        assert sent.counted('netboot_log_lines_dropped_total{reason="rate"}') == "1e+06"
        return spent_s

    assert with_lines(with_services, scenario) < 0.5  # one by one it takes 1 s
