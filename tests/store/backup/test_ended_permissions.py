"""A restored store installs, wipes and serves nothing that was spent since the backup, unless --keep-armings."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures.rollouts import a_rollout
from store.backup.test_backup import AT, NEWEST_VERSION_STORED, ROOT, back_up, load_stored, restore, rows_at

from netboot.events.event_log import EventLog
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection
from netboot.model.install.install import Install, Move
from netboot.model.install.machine_identity import (
    NOTHING_KNOWN,
    Hold,
    HoldReason,
    Identity,
    IdentitySource,
    KnownIdentity,
    RecordedIdentity,
)
from netboot.model.install.token import Tokens
from netboot.model.install.wipe import WipeState
from netboot.model.power.power import IntentState, PowerAction, PowerIntent
from netboot.model.rollout.rollout import Rollout, RolloutState
from netboot.store.access.account_store import AccountStore
from netboot.store.backup.ended_permissions import EndedPermissions
from netboot.store.database import Database
from netboot.store.inspections import Inspections
from netboot.store.installs import Installs
from netboot.store.power.power_intents import PowerIntents
from netboot.store.rollouts.rollout_store import Rollouts

CP1 = HostName("cp1")
WHY = f"restored from a backup of {AT.isoformat()}"


def read(url: str, key_file: Path) -> dict[str, Any]:
    async def scenario() -> dict[str, Any]:
        database = await Database.open(url, key_file=key_file)
        try:
            return {
                "installs": {each.host: each for each in await Installs(database).all()},
                "moves": await Installs(database).history(CP1),
                "inspections": {each.mac: each for each in await Inspections(database).all()},
                "accounts": await AccountStore(database).all(),
                "event": (await EventLog(database).after(0))[-1],
            }
        finally:
            await database.close()

    return asyncio.run(scenario())


def test_what_is_held_ends_with_its_arming_and_the_recorded_machine_stays(store_url: str, tmp_path: Path):
    shown = Identity(Mac.parse("52:54:00:aa:bb:01"), uuid="4c4c4544-0042-3510-8052-b4c04f4e3332", is_reported=True)
    recorded = RecordedIdentity(replace(shown, serial="7XK1"), AT, IdentitySource.INSTALL)
    known = KnownIdentity(recorded, is_confirmed=True, hold=Hold(HoldReason.APPROVAL, AT, shown))

    async def hold() -> None:
        database = await Database.open(store_url, key_file=tmp_path / "store.key")
        for host, identity in ((CP1, known), (HostName("w1"), NOTHING_KNOWN)):
            held = replace(Install(host).armed(at=AT, reason="test", attempts=1), identity=identity)
            await Installs(database).change(host, lambda _, held=held: held, at=AT, what="armed")
        await database.close()

    asyncio.run(hold())
    back_up(store_url, tmp_path / "netboot.backup")

    restore(store_url, tmp_path / "netboot.backup", keeps_armings=False)

    after = read(store_url, tmp_path / "store.key")["installs"]
    assert {host: (each.arming, each.identity) for host, each in after.items()} == {
        CP1: (None, KnownIdentity(recorded)),
        "w1": (None, NOTHING_KNOWN),
    }


def test_armings_tokens_requests_and_logins_end_with_a_line_in_the_history(store_url: str, tmp_path: Path):
    load_stored(store_url, NEWEST_VERSION_STORED)
    before = read(store_url, tmp_path / "store.key")
    back_up(store_url, tmp_path / "netboot.backup")

    restored = restore(store_url, tmp_path / "netboot.backup", keeps_armings=False)

    after = read(store_url, tmp_path / "store.key")
    install: Install = before["installs"][CP1]
    assert after["installs"] == {
        host: replace(each, arming=None, tokens=Tokens(), version=each.version + 1)
        for host, each in before["installs"].items()
    }
    assert after["moves"] == [
        *before["moves"],
        Move(AT, "restored", install.state, install.state, WHY, ROOT),
    ]
    mac, wiped = next((mac, each) for mac, each in before["inspections"].items() if each.requested_wipe)
    assert after["inspections"] == before["inspections"] | {mac: ended(wiped)}
    assert after["accounts"] == replace(before["accounts"], sessions=[])
    assert restored.ended == EndedPermissions((CP1,), (mac,), 1)
    assert after["event"].name == "store.restored"
    assert after["event"].data == {
        "taken_at": AT.isoformat(),
        "appliance": "box1",
        "keeps_armings": False,
        "hosts": "cp1",
        "actor": "uid 0",
        "source": "command",
    }


def ended(inspection: Inspection) -> Inspection:
    assert inspection.wipe is not None
    wipe = inspection.wipe.moved(WipeState.CANCELLED, at=AT, note=WHY)
    return replace(inspection.withdrawn(), token="", wipe=wipe)


@pytest.mark.parametrize("version", [4, 12])
def test_those_of_an_older_version_end_too(store_url: str, tmp_path: Path, version: int):
    load_stored(store_url, version)
    back_up(store_url, tmp_path / "netboot.backup")

    restored = restore(store_url, tmp_path / "netboot.backup", keeps_armings=False)

    assert restored.ended.hosts == (CP1,)
    assert not any(
        each.is_armed or each.tokens.kickstart for each in read(store_url, tmp_path / "store.key")["installs"].values()
    )


def test_with_keep_armings_every_row_stays(store_url: str, tmp_path: Path):
    load_stored(store_url, NEWEST_VERSION_STORED)
    before = rows_at(store_url, tmp_path / "store.key")
    back_up(store_url, tmp_path / "netboot.backup")

    restored = restore(store_url, tmp_path / "netboot.backup")

    assert rows_at(store_url, tmp_path / "store.key") == before
    assert restored.ended == EndedPermissions()
    assert read(store_url, tmp_path / "store.key")["installs"][CP1].is_armed


def test_no_machine_is_reset_by_a_power_action_of_the_time_of_the_backup(store_url: str, tmp_path: Path):
    requested = PowerIntent("1", CP1, PowerAction.OFF, ROOT, AT)
    sent = replace(requested, id="2", host=HostName("w1"))

    async def add() -> PowerIntent:
        database = await Database.open(store_url, key_file=tmp_path / "store.key")
        await PowerIntents(database).add([requested, sent])
        sending = await PowerIntents(database).move(sent, IntentState.SENDING, at=AT)
        await database.close()
        assert sending is not None
        return sending

    async def intents() -> dict[HostName, PowerIntent]:
        database = await Database.open(store_url, key_file=tmp_path / "store.key")
        try:
            return await PowerIntents(database).newest([CP1, HostName("w1")])
        finally:
            await database.close()

    sending = asyncio.run(add())
    back_up(store_url, tmp_path / "netboot.backup")

    restore(store_url, tmp_path / "netboot.backup", keeps_armings=False)

    assert asyncio.run(intents()) == {
        CP1: replace(requested, state=IntentState.CANCELLED, ended_at=AT, detail=WHY),
        HostName("w1"): replace(sending, state=IntentState.UNKNOWN, ended_at=AT, detail=WHY),
    }


def test_a_rollout_of_the_time_of_the_backup_does_not_go_on(store_url: str, tmp_path: Path):
    async def rollouts(work: Callable[[Rollouts], Awaitable[Rollout | None]]) -> Rollout | None:
        database = await Database.open(store_url, key_file=tmp_path / "store.key")
        try:
            return await work(Rollouts(database))
        finally:
            await database.close()

    begun = asyncio.run(rollouts(lambda stored: stored.create(a_rollout())))
    back_up(store_url, tmp_path / "netboot.backup")
    restore(store_url, tmp_path / "netboot.backup", keeps_armings=False)

    assert begun is not None
    assert asyncio.run(rollouts(Rollouts.active)) is None
    ended = asyncio.run(rollouts(lambda stored: stored.get(begun.id)))
    assert ended == replace(begun, state=RolloutState.CANCELLED, ended_at=AT)
