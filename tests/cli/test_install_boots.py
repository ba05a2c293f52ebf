"""`install history` and `install watch --all`: without a daemon from the store, and how boots that run are printed."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fixtures.command_line import CommandLine

from netboot.admin.json_views import json_view
from netboot.cli.commands.hosts.install_boots import AllBoots
from netboot.model.boot.boot_record import BootEnd, BootPlan, BootRecord, BootStep
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.clock import utc_now
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.operate.boots.boot_history import NoBootError, ShownBoot
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
    head, first, second = kept.printed("install", "history", "cp1", "--boots").splitlines()

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
    assert str(refused.exception) == "no boot 9 of cp1 is kept; there are 2: netboot install history cp1 --boots"


def test_the_boots_of_a_machine_that_is_not_registered_are_found_by_its_mac(kept: CommandLine):
    [found] = kept.json("install", "history", OTHER, "--boots")

    assert (found["host"], found["mac"]) == (None, OTHER)


def test_the_history_of_the_install_is_another_list(kept: CommandLine):
    kept.printed("install", "arm", "cp1", "--reason", "new disk")

    assert kept.printed("install", "history", "cp1").splitlines()[1].split("\t")[1:5] == [
        "armed",
        "registered",
        "registered",
        "new disk",
    ]
    assert kept("install", "history", "cp1", "--boots", "--boot", "0").exit_code == 2


def test_the_boots_that_run_are_listed_without_a_daemon_once_alone(kept: CommandLine):
    rows = kept.printed("install", "watch", "--all", "--no-follow").splitlines()[1:]
    shown = kept.json("install", "watch", "--all", "--no-follow")
    followed = kept("install", "watch", "--all")

    assert [row.split("\t")[0] for row in rows] == ["cp1", OTHER]
    assert [boot["host"] for boot in shown] == ["cp1", None]
    assert str(followed.exception) == (
        "no daemon runs, so nothing will happen; netboot serve, or watch with --no-follow"
    )


@pytest.mark.parametrize("arguments", ["", "cp1 --all"])
def test_a_watch_is_of_one_host_or_of_all(kept: CommandLine, arguments: str):
    assert kept("install", "watch", *arguments.split()).exit_code == 2


def test_no_secret_of_an_install_is_in_its_boots(kept: CommandLine):
    printed = json.dumps(kept.json("install", "history", "cp1", "--boots"))

    assert "token" not in printed


class RunningBoots:
    """Stands for the daemon's API: what it answers at each request."""

    def __init__(self, *answers: list[dict[str, Any]], kept: dict[str, dict[str, Any]]) -> None:
        self.boots, self._answers, self._kept = self, iter(answers), kept

    async def running(self) -> list[dict[str, Any]]:
        return next(self._answers)

    async def show(self, name: str) -> dict[str, Any]:
        if name not in self._kept:
            raise NoBootError(f"no boot of {name} is kept")
        return self._kept[name]


def views() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return a boot that runs, the same when it has ended, and one of another machine, as the API shows them."""
    running = json_view(ShownBoot(record(BEGIN)))
    ended = {**running, "end": "ready", "ended_at": running["last_at"]}
    return running, ended, json_view(ShownBoot(record(BEGIN, None, OTHER)))


def shown(daemon: RunningBoots, *, as_json: bool = False, in_table: bool = False) -> None:
    async def scenario() -> None:
        watch = AllBoots(daemon, as_json=as_json)  # type: ignore[arg-type]
        end = watch.begin_table() if in_table else None
        for _ in range(2):
            await watch.show()
        if end is not None:
            end()

    asyncio.run(scenario())


def test_each_boot_is_printed_when_it_changes_and_when_it_has_ended(capsys: pytest.CaptureFixture[str]):
    running, ended, other = views()

    shown(RunningBoots([running, other], [other], kept={"cp1": ended}))

    assert capsys.readouterr().out.splitlines() == [
        "03:00:02  cp1                 loader        waits for script",
        f"03:00:02  {OTHER}   loader        waits for script",
        "03:00:02  cp1                 loader        ended: ready",
    ]


def test_a_boot_that_does_not_change_is_printed_once_and_one_of_a_removed_host_has_no_end(
    capsys: pytest.CaptureFixture[str],
):
    running, _, other = views()

    shown(RunningBoots([running, other], [running], kept={}), as_json=True)

    assert [json.loads(line)["mac"] for line in capsys.readouterr().out.splitlines()] == [MAC, OTHER]


def test_on_a_terminal_the_boots_are_a_table_and_the_ended_ones_stand_above_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "120")
    running, ended, _ = views()

    shown(RunningBoots([running], [], kept={"cp1": ended}), in_table=True)

    printed = capsys.readouterr().out
    assert "ended: ready" in printed
    assert printed.splitlines()[-1].split() == ["HOST", "PLAN", "STEP", "BEGAN", "WAITS", "FOR", "PROGRESS", "RETRIES"]
