"""`install logs`: a stored log with the steps of its boot, and what comes later, each once."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from fixtures.command_line import CommandLine

from netboot.boot_records.shown_logs import LoggedBoot, NoLogError
from netboot.cli.commands.hosts.install_logs import _ShownLog
from netboot.cli.views.log_view import LogView
from netboot.model.boot.log_line import LogLine, Severity
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac

BEGAN = datetime(2026, 11, 21, 12, tzinfo=UTC)
CP1, MAC = HostName("cp1"), Mac("02:00:00:00:00:01")
FIRST, SECOND = (LoggedBoot(CP1, number, 2, BEGAN + timedelta(hours=number), None) for number in (0, 1))


def line(text: str, seconds: int) -> LogLine:
    return LogLine(BEGAN + timedelta(seconds=seconds), IPv4Address("192.0.2.51"), Severity.INFO, "anaconda", text)


def write_log(directory: Path, began_at: datetime, *lines: LogLine) -> None:
    log = directory / "records" / "cp1" / f"{began_at:%Y%m%dT%H%M%S.%fZ}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(f"{each.to_json()}\n" for each in lines))


def test_a_stored_log_is_printed_by_its_number(netboot: CommandLine):
    later = BEGAN + timedelta(hours=1)
    write_log(netboot.directory, BEGAN, line("first", 1), line("second", 2))
    write_log(netboot.directory, later, line("of the last boot", 3601))

    assert netboot.printed("install", "logs", "cp1", "--boot", "1").splitlines() == [
        "cp1, boot 1 of 2, began 2026-11-21 12:00:00 UTC",
        "12:00:01.000  info     anaconda        first",
        "12:00:02.000  info     anaconda        second",
    ]
    head, *lines = map(json.loads, netboot.printed("install", "logs", "cp1", "--json").splitlines())
    assert (head["number"], [each["text"] for each in lines]) == (2, ["of the last boot"])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("cp1", "no log of cp1 is kept; see logs.listen"),
        ("nobody", "no host is called nobody; the registry has: cp1, w1"),
        (
            "cp1 --follow",
            "no log can be followed: no daemon runs, or logs.listen is empty; start netboot, or see logs.listen",
        ),
    ],
)
def test_a_log_that_is_not_there_is_refused_with_the_reason(netboot: CommandLine, arguments: str, reason: str):
    assert str(netboot("install", "logs", *arguments.split()).exception) == reason


def test_a_log_that_is_followed_is_that_of_the_last_boot(netboot: CommandLine):
    done = netboot("install", "logs", "cp1", "--follow", "--boot", "1")

    assert (done.exit_code, "--follow prints the last boot; leave --boot out" in done.output) == (2, True)


class DaemonOfOneLog:
    """Stands for the daemon's API: the log of a machine as it is now, what comes later, and its events."""

    def __init__(self, stored: list[Any], followed: list[Any], events: list[dict[str, Any]]) -> None:
        self.logs, self._stored, self._followed, self._events = self, stored, followed, events

    async def show(self, _host: str, *, boot: int = 0, follow: bool = False) -> AsyncGenerator[Any, None]:
        if boot or not (self._stored or follow):
            raise NoLogError("no log of cp1 is kept; see logs.listen")
        for each in self._followed if follow else self._stored:
            await asyncio.sleep(0)
            yield each

    async def last_event_id(self) -> int:
        return 7

    async def events(self, *, after: int, host: str, follow: bool) -> AsyncGenerator[Any, None]:
        for each in self._events:
            if each["id"] > after and each["host"] == host and each["stored"] != follow:
                yield each
        if follow:
            await asyncio.Event().wait()


def event(id_: int, at: datetime, *, stored: bool) -> dict[str, Any]:
    data = {"address": "192.0.2.51"}
    about = {"event": "boot.kickstart_served", "host": "cp1", "mac": MAC, "step": "kickstart", "data": data}
    return {"id": id_, "at": at.isoformat(), "stored": stored, **about}


def followed(daemon: DaemonOfOneLog, host: str = "cp1", *, with_steps: bool = True) -> None:
    async def scenario() -> None:
        log = _ShownLog(daemon, host, LogView(as_json=False), with_steps=with_steps)  # type: ignore[arg-type]
        async with asyncio.timeout(10):
            await log.show(0, follow=True)

    asyncio.run(scenario())


def test_what_was_printed_is_not_printed_again_and_steps_stand_between_the_lines(capsys: pytest.CaptureFixture[str]):
    stored = [FIRST, line("first", 1), line("second", 3)]
    later = [*stored, None, line("third", 5), SECOND, line("fourth", 3601)]
    events = [
        event(1, BEGAN - timedelta(hours=1), stored=True),  # of an earlier boot
        event(2, BEGAN + timedelta(seconds=2), stored=True),
        event(3, BEGAN + timedelta(seconds=4), stored=False),
    ]

    followed(DaemonOfOneLog(stored, later, events))

    printed = capsys.readouterr().out.splitlines()
    assert printed[:4] == [
        "cp1, boot 0 of 2, began 2026-11-21 12:00:00 UTC",
        "12:00:01.000  info     anaconda        first",
        "12:00:02.000  step     kickstart       address 192.0.2.51",
        "12:00:03.000  info     anaconda        second",
    ]
    assert sorted(printed[4:]) == [
        "12:00:04.000  step     kickstart       address 192.0.2.51",
        "12:00:05.000  info     anaconda        third",
        "13:00:01.000  info     anaconda        fourth",
        "cp1, boot 1 of 2, began 2026-11-21 13:00:00 UTC",
    ]


def test_a_machine_that_has_logged_nothing_is_waited_for(capsys: pytest.CaptureFixture[str]):
    followed(DaemonOfOneLog([], [FIRST, line("first", 1)], []))

    out, err = capsys.readouterr()
    assert err == "cp1 has logged nothing yet; waiting\n"
    assert out.splitlines() == [
        "cp1, boot 0 of 2, began 2026-11-21 12:00:00 UTC",
        "12:00:01.000  info     anaconda        first",
    ]


@pytest.mark.parametrize(("host", "with_steps"), [(MAC, True), ("cp1", False)])
def test_an_unregistered_machine_and_json_have_no_steps(
    capsys: pytest.CaptureFixture[str], host: str, with_steps: bool
):
    of_machine = LoggedBoot(host if host == MAC else CP1, 1, 1, BEGAN, None)
    events = [event(1, BEGAN, stored=True) | {"host": host}]

    followed(DaemonOfOneLog([of_machine], [of_machine, line("first", 1)], events), host, with_steps=with_steps)

    assert [each.split()[1] for each in capsys.readouterr().out.splitlines()[1:]] == ["info"]
