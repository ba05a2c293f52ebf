"""Which boot of which machine is shown, and why none is."""

import asyncio
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.boot_records.disk_budget import DiskBudget
from netboot.boot_records.log_store import LogStore, ReceivedLine
from netboot.boot_records.record_files import RecordFiles
from netboot.boot_records.record_writer import RecordWriter
from netboot.boot_records.shown_logs import BootLogs, LoggedBoot, NoLogError
from netboot.model.boot.log_line import LogLine, Severity
from netboot.model.host.host import HostName
from netboot.telemetry.metrics import Metrics

BEGAN = datetime(2026, 11, 29, 11, 0, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return BEGAN + timedelta(minutes=minutes)


def line(minutes: int) -> LogLine:
    return LogLine(at(minutes), IPv4Address("192.0.2.50"), Severity.INFO, "ipxe", f"line {minutes}")


async def known(name: str) -> HostName:
    return HostName(name)


@pytest.fixture
def store(tmp_path: Path) -> LogStore:
    """Three boots of cp1."""
    store = LogStore(DiskBudget(RecordFiles(tmp_path), 1 << 30, now=lambda: BEGAN))
    store.write([ReceivedLine(HostName("cp1"), at(minutes), line(minutes)) for minutes in (0, 10, 20)])
    return store


def shown(logs: BootLogs, name: str = "cp1", **wanted: int) -> list[object]:
    async def collect() -> list[object]:
        return [each async for each in logs.show(name, **wanted)]

    return asyncio.run(collect())


@pytest.mark.parametrize(("boot", "number"), [(0, 3), (-1, 2), (-2, 1), (1, 1), (2, 2), (3, 3)])
def test_boots_are_counted_as_journalctl_counts_them(store: LogStore, boot: int, number: int):
    ended_at = at(number * 10) if number < 3 else None

    found = shown(BootLogs(store.budget.files, known), boot=boot)

    assert found == [LoggedBoot("cp1", number, 3, at(number * 10 - 10), ended_at), line(number * 10 - 10)]


@pytest.mark.parametrize("boot", [4, -3])
def test_a_boot_that_has_no_log_is_refused_with_the_number_of_those_that_have(store: LogStore, boot: int):
    with pytest.raises(NoLogError, match=f"no log of boot {boot} of cp1 is kept; it has the logs of 3 boots"):
        shown(BootLogs(store.budget.files, known), boot=boot)


def test_a_machine_without_a_log_is_refused(store: LogStore):
    with pytest.raises(NoLogError, match=r"no log of w1 is kept; see logs\.listen"):
        shown(BootLogs(store.budget.files, known), "w1")


def test_only_a_daemon_that_receives_logs_follows_them(store: LogStore):
    with pytest.raises(NoLogError, match=r"no log can be followed: no daemon runs, or logs\.listen is empty"):
        shown(BootLogs(store.budget.files, known), follow=True)


def test_a_followed_log_is_shown_until_the_daemon_stops(store: LogStore):
    async def follow() -> list[object]:
        writer = RecordWriter(store.budget, Metrics(), application="netboot")
        found = []
        async for each in BootLogs(store.budget.files, known, writer).show("cp1", follow=True):
            found.append(each)
            if isinstance(each, LogLine):
                writer.end()
        return found

    assert asyncio.run(follow()) == [LoggedBoot("cp1", 3, 3, at(20), None), line(20)]


def test_a_log_that_has_not_begun_can_be_followed(store: LogStore):
    async def follow() -> list[object]:
        writer = RecordWriter(store.budget, Metrics(), application="netboot")
        found = []
        async for each in BootLogs(store.budget.files, known, writer).show("w1", follow=True):
            found.append(each)
            writer.end()
        return found

    assert asyncio.run(follow()) == [None]


def test_the_last_lines_are_read_and_what_follows_them_is_sent_from_their_offset(store: LogStore):
    store.write([ReceivedLine(HostName("cp1"), at(20), line(minutes)) for minutes in (21, 22)])
    logs = BootLogs(store.budget.files, known)

    tail = asyncio.run(logs.tail("cp1", most_lines=2))
    store.write([ReceivedLine(HostName("cp1"), at(20), line(23))])

    assert (tail.boot.number, tail.lines, tail.is_cut) == (3, [line(21), line(22)], True)
    assert asyncio.run(_from(logs, tail.offset)) == [line(23)]


def test_a_short_log_is_read_whole(store: LogStore):
    tail = asyncio.run(BootLogs(store.budget.files, known).tail("cp1", boot=1, most_lines=2))

    assert (tail.boot.number, tail.lines, tail.is_cut) == (1, [line(0)], False)


def test_the_begin_of_each_boot_with_a_log_is_listed(store: LogStore):
    assert asyncio.run(BootLogs(store.budget.files, known).began("cp1")) == [at(0), at(10), at(20)]


async def _from(logs: BootLogs, offset: int) -> list[object]:
    found = await logs.find("cp1")
    return [each async for each in logs.lines(found, offset=offset)][1:]
