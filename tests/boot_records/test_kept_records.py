"""What is read of the records of boots: with a daemon also what it has not written, and its logs as they come."""

import asyncio
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.boot_records.capture_store import ReceivedPacket
from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.kept_records import KeptRecords
from netboot.boot_records.log_store import LogStore, ReceivedLine
from netboot.boot_records.record_files import RecordFiles
from netboot.boot_records.record_writer import RecordWriter
from netboot.errors import UnknownHostError
from netboot.model.boot.log_line import LogLine, Severity
from netboot.model.captured_packet import CapturedPacket, Protocol
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.telemetry.metrics import Metrics

BEGAN = datetime(2026, 11, 29, 11, 0, tzinfo=UTC)
CP1 = HostName("cp1")
LINE = LogLine(BEGAN, IPv4Address("192.0.2.50"), Severity.INFO, "ipxe", "a")
PACKET = CapturedPacket(
    Protocol.TFTP, BEGAN, "eno2", ("192.0.2.50", 2070), ("192.0.2.10", 69), data=b"x", is_sent=False
)


async def known(name: str) -> HostName:
    if name != CP1:
        raise UnknownHostError(f"no host is called {name}")
    return CP1


@pytest.mark.parametrize(
    ("has_daemon", "receives_logs", "packets"), [(False, False, []), (True, False, [1]), (True, True, [1])]
)
def test_only_a_daemon_has_packets_that_wait_and_only_one_that_receives_logs_has_later_lines(
    tmp_path: Path, has_daemon: bool, receives_logs: bool, packets: list[int]
):
    async def read() -> None:
        budget = DiskBudget(RecordFiles(tmp_path), 1 << 30, now=lambda: BEGAN)
        LogStore(budget).write([ReceivedLine(CP1, BEGAN, LINE)])
        writer = RecordWriter(budget, Metrics(), application="netboot")
        writer.take_packet(ReceivedPacket(CP1, BEGAN, Mac.parse("52:54:00:aa:bb:01"), PACKET))
        records = KeptRecords(budget.files, writer if has_daemon else None, receives_logs)
        logs, captures = records.logs(known), records.captures(known)

        assert logs.can_follow is receives_logs
        assert (await logs.tail("cp1", most_lines=5)).lines == [LINE]
        if has_daemon:
            await captures.read("cp1")
        assert [boot.packets for boot in await captures.all("cp1")] == packets
        for unknown in (logs.began("w9"), captures.began("w9")):
            with pytest.raises(UnknownHostError, match="no host is called w9"):
                await unknown

    asyncio.run(read())
