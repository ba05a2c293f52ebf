"""`install history` and `install watch --all` without a daemon, from the store."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from fixtures.command_line import CommandLine

from netboot.model.boot.boot_record import BootEnd, BootPlan, BootRecord, BootStep
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.clock import utc_now
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.store.boots.boot_store import Boots
from netboot.store.database import Database

BEGIN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
CP1, MAC, OTHER = HostName("cp1"), Mac("02:00:00:00:00:01"), Mac("02:00:00:00:00:99")


def record(began_at: datetime, host: HostName | None = CP1, mac: Mac = MAC, **values: object) -> BootRecord:
    later = began_at + timedelta(seconds=2)
    steps = (BootStep(Step.OFFER, began_at, began_at), BootStep(Step.LOADER, later, later, 2.0, bytes=300_000))
    return BootRecord(host, mac, began_at, later, LoaderKind.IPXE_UEFI, steps=steps, **values)  # type: ignore[arg-type]


@pytest.fixture
def kept(netboot: CommandLine) -> CommandLine:
    """A store with two boots of cp1, of which the second runs, and one of an unregistered machine."""

    async def keep() -> None:
        database = await Database.open(f"sqlite+aiosqlite:///{netboot.directory}/netboot.db")
        boots = Boots(database)
        ended_at = BEGIN + timedelta(seconds=90)
        boots.keep(record(BEGIN, plan=BootPlan.INSTALL, end=BootEnd.READY, ended_at=ended_at))
        boots.keep(record(utc_now()))
        boots.keep(record(utc_now(), None, OTHER))
        await boots.flush()
        await database.close()

    asyncio.run(keep())
    return netboot


def test_the_boots_of_a_host_are_listed_with_the_durations_of_their_steps(kept: CommandLine):
    head, first, second = kept.printed("install", "history", "cp1").splitlines()

    assert head == "BOOT\tBEGAN (UTC)\tPLAN\tEND\tTOOK\tRETRIES\tSTEPS"
    assert first == "1\t2026-11-21 03:00:00\tinstall\tready\t1 min 30 s\t\tloader 2.0 s"
    assert second.split("\t")[3:] == ["", "2 s", "", "loader 2.0 s"]


def test_one_boot_is_shown_by_its_number(kept: CommandLine):
    shown = kept.printed("install", "history", "cp1", "--boot", "1").splitlines()
    last = kept.json("install", "history", "cp1", "--boot", "0")
    refused = kept("install", "history", "cp1", "--boot", "9", "--json")

    assert shown[0] == f"cp1, boot 1 of 2, began 2026-11-21 03:00:00 UTC by {MAC}: no client"
    assert [line.split()[2] for line in shown[1:3]] == ["offer", "loader"]
    assert shown[3].split() == ["90.0", "s", "ready"]
    assert (last["number"], last["boots"], last["end"], last["waits_for"]) == (2, 2, None, "script")
    assert str(refused.exception) == "no boot 9 of cp1 is kept; there are 2: netboot install history cp1"


def test_the_boots_of_a_machine_that_is_not_registered_are_found_by_its_mac(kept: CommandLine):
    [found] = kept.json("install", "history", OTHER)

    assert (found["host"], found["mac"]) == (None, OTHER)


def test_the_history_of_the_install_is_another_list(kept: CommandLine):
    kept.printed("install", "arm", "cp1", "--reason", "new disk")

    assert kept.printed("install", "history", "cp1", "--moves").splitlines()[1].split("\t")[1:5] == [
        "armed",
        "registered",
        "registered",
        "new disk",
    ]
    assert kept("install", "history", "cp1", "--moves", "--boot", "0").exit_code == 2


def test_the_boots_that_run_are_listed_without_a_daemon_once_alone(kept: CommandLine):
    rows = kept.printed("install", "watch", "--all", "--no-follow").splitlines()[1:]
    shown = kept.json("install", "watch", "--all", "--no-follow")
    followed = kept("install", "watch", "--all")

    assert [row.split("\t")[0] for row in rows] == ["cp1", OTHER]
    assert [boot["host"] for boot in shown] == ["cp1", None]
    assert str(followed.exception) == (
        "no daemon runs, so nothing will happen; netboot serve, or watch with --no-follow"
    )


@pytest.mark.parametrize("arguments", [[], ["cp1", "--all"]])
def test_a_watch_is_of_one_host_or_of_all(kept: CommandLine, arguments: list[str]):
    assert kept("install", "watch", *arguments).exit_code == 2


def test_no_secret_of_an_install_is_in_its_boots(kept: CommandLine):
    printed = json.dumps(kept.json("install", "history", "cp1"))

    assert "token" not in printed
