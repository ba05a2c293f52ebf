"""A store of each earlier version becomes one of this version and keeps its rows."""

import asyncio
import logging
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

import pytest
from fixtures.stored_databases import STORED, load_stored
from sqlalchemy import Connection, inspect, make_url

from netboot.errors import StoreError
from netboot.events.event_log import EventLog
from netboot.model.access.access_rule import UserRole
from netboot.model.access.accounts import ApiToken, LoginSession, User
from netboot.model.actor import Actor, Source
from netboot.model.bmc.bmc import NetworkBoot
from netboot.model.boot.boot_client import Machine, RelayPath
from netboot.model.boot.boot_record import BootFacts, BootPlan, BootRecord, BootStep
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.host.address_pool import RecordedAddress
from netboot.model.host.disk_rule import DiskChoice, DiskRule
from netboot.model.host.firmware import LocalBoot, LocalBootMethod, LocalBootState
from netboot.model.host.hardware import Hardware, InspectedDisk
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.checks import CheckResult, InstallCheck
from netboot.model.install.event import Event, Step
from netboot.model.install.inspection import Inspection, OneTimeBoot
from netboot.model.install.install import Arming, Install, InstallState, InstallTarget
from netboot.model.install.machine_identity import Identity, IdentitySource, KnownIdentity, RecordedIdentity
from netboot.model.install.served_document import ServedDocument, ServedKind
from netboot.model.install.token import Tokens
from netboot.model.install.wipe import Wipe, WipeState
from netboot.model.lease import Lease, LeaseState
from netboot.model.node_report import InstalledCommit, InstalledNode, NodeReport
from netboot.model.power.power import IntentState, PowerAction, PowerIntent
from netboot.model.rollout.command import CommandKind, CommandState, RolloutCommand
from netboot.model.rollout.rollout import (
    JoinPermit,
    Phase,
    PowerStep,
    Rollout,
    RolloutHost,
    RolloutOptions,
    RolloutPart,
)
from netboot.operate.hooks.delivery_queue import Delivery, DeliveryQueue, DueDeliveries, HookResult
from netboot.store import tables
from netboot.store.accepted_files import AcceptedFiles
from netboot.store.access.account_store import AccountStore, StoredAccounts
from netboot.store.allocations import Allocations
from netboot.store.boots.boot_store import Boots
from netboot.store.database import Database
from netboot.store.failure import NEWEST_VERSION
from netboot.store.inspections import Inspections
from netboot.store.installs import Installs
from netboot.store.leases import LeaseStore
from netboot.store.machines import Machines
from netboot.store.migrations import MIGRATIONS
from netboot.store.nodes.installed_nodes import Nodes
from netboot.store.power.power_intents import PowerIntents
from netboot.store.rollouts.rollout_store import Rollouts
from netboot.store.served_documents import ServedDocuments

VERSIONS: Final = sorted(int(file.stem) for file in (STORED / "sqlite").glob("*.sql"))

CP1: Final = HostName("cp1")
MAC: Final = Mac("52:54:00:aa:bb:01")
ADDRESS: Final = IPv4Address("192.0.2.11")
CHECKS: Final = (InstallCheck("disk", CheckResult.PASS, "/dev/vda, 20 GB"),)
TARGET: Final = InstallTarget(frozenset({MAC}), "/dev/vda", "ock-1.31", "5" * 64, frozenset({ADDRESS}))


def at(minute: int) -> datetime:
    return datetime(2026, 11, 21, 2, minute, tzinfo=UTC)


# The rows of every stored database, as far as its version has them.
INSTALLING: Final = Install(
    CP1,
    InstallState.LOADING,
    changed_at=at(3),
    arming=Arming(at(0), "first install", attempts=3, spent=1),
    tokens=Tokens("1" * 32, "2" * 32, "3" * 32, "8" * 32),
    version=4,
    target=TARGET,
)
READY: Final = Install(HostName("worker1"), InstallState.READY, version=9)
IDENTITY: Final = KnownIdentity(
    RecordedIdentity(
        Identity(Mac("52:54:00:aa:bb:03"), "192.0.2.40", serial="S7", is_reported=True), at(4), IdentitySource.INSTALL
    )
)
EVENTS: Final = [
    Event("install.armed", at(0), host=CP1, data={"reason": "first install"}, id=1),
    Event("boot.offered", at(2), host=CP1, mac=MAC, step=Step.OFFER, id=2),
]
MACHINE: Final = Machine(
    MAC, at(1), at(2), "x64-uefi", "PXEClient:Arch:00007:UNDI:003016", None, (ADDRESS,), {"pxe/x64": "with-43"}
)
REPORTED: Final = {
    "facts": {MachineFact.MANUFACTURER: "QEMU", MachineFact.PLATFORM: "efi"},
    "first_path": RelayPath(IPv4Address("198.51.100.1"), "eth0/1/7", "00:06:02"),
    "last_path": RelayPath(None, "eth0/1/8"),
}
LOCAL_BOOTS: Final = {
    "pxe/x64": LocalBoot(LocalBootMethod.EXIT, LocalBootState.VERIFIED, since=at(5), worked=LocalBootMethod.EXIT)
}
OTHER: Final = Mac("52:54:00:aa:bb:02")
INSPECTIONS: Final = [
    Inspection(
        MAC,
        medium="ol9",
        begun_at=at(1),
        reported_at=at(2),
        hardware=Hardware("uefi", disks=(InspectedDisk("vda", 480_000_000_000, serials=("S1",)),)),
    ),
    Inspection(OTHER, at(3), "ol9", datetime(2026, 11, 21, 2, 1, 30, tzinfo=UTC), token="5" * 32),
]
WIPE: Final = Wipe(
    HostName("worker9"), (OTHER,), DiskRule(serial="S9", choose=DiskChoice.SMALLEST), WipeState.REQUESTED, at(3)
)
ROOT: Final = Actor("uid 0", Source.CONTROL_SOCKET)
LEASE: Final = Lease(IPv4Address("192.0.2.50"), f"01:{OTHER}", OTHER, LeaseState.BOUND, 3600, at(59))
SERVED: Final = ServedDocument(
    CP1, ServedKind.KICKSTART, at(3).replace(second=30), MAC, "http://192.0.2.10:8080", "4" * 64, "text\n"
)
ALLOCATED: Final = [
    RecordedAddress.parse(address, "worker1", at(4).isoformat()) for address in ("192.0.2.40", "2001:db8::40")
]
ACCEPTED: Final = [("/etc/netboot/hosts.yaml", "hosts: {}")]
HOOKS: Final = {"pager": HookResult(1, at(2), at(1), at(4), "HTTP 500")}
BOOT: Final = BootRecord(
    CP1,
    MAC,
    at(2),
    at(3),
    LoaderKind.IPXE_UEFI,
    BootFacts("x64-uefi", "pxe", "PXEClient", str(ADDRESS)),
    BootPlan.INSTALL,
    steps=(BootStep(Step.OFFER, at(2), at(2), retries=2, detail="snponly.efi"),),
)
ACCOUNTS: Final = StoredAccounts(
    [
        User(
            "alice",
            UserRole.ADMIN,
            "$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo",
            at(0),
            at(1),
            at(2),
        )
    ],
    [ApiToken("ci", UserRole.READ_ONLY, "6" * 64, at(1), "alice", at(59), at(3))],
    [LoginSession("7" * 64, "alice", UserRole.ADMIN, "192.0.2.7", at(2), at(3))],
)
NODE: Final = InstalledNode(
    READY.host, InstalledCommit("ock-1.31", "5" * 64, at(4)), NodeReport("6" * 64, tag="1.31"), at(5)
)
INTENT: Final = PowerIntent(
    "a1b2c3d4e5f6",
    READY.host,
    PowerAction.PXE,
    Actor("alice", Source.API),
    at(6),
    network_boot=NetworkBoot.HTTP_URI,
    uri="http://192.0.2.10:8080/boot/52-54-00-aa-bb-03/snponly.efi",
    is_forced=True,
    state=IntentState.UNKNOWN,
    owner="7f0e",
    sent_at=at(6).replace(second=1),
    ended_at=at(7),
    detail="the BMC did not answer",
)
ROLLOUT: Final = Rollout(
    id=1,
    options=RolloutOptions(2, 1, power=False),
    hosts=(
        RolloutHost(
            CP1,
            RolloutPart.INIT,
            Phase.JOINING,
            at(5),
            attempts=2,
            armed_at=at(1),
            power=PowerStep.DONE,
            requested_at=at(4),
            permit=JoinPermit("8" * 64, at(50), at(5)),
            served_at=at(6),
            ignition_sha256="9" * 64,
        ),
        RolloutHost(HostName("worker1"), RolloutPart.WORKER, reason="waits", wants_install=True),
    ),
    began_at=at(0),
    actor="alice",
    commands={
        CommandKind.START: RolloutCommand(CommandKind.START, CommandState.FAILED, 1, at(0), at(1), at(2), "no route", 1)
    },
    api_answered_at=at(7),
    forgiven=1,
    version=1,
)
DELIVERY: Final = Delivery("pager", 2, CP1, at(2), "{}", attempts=3)


def installing_of(version: int) -> Install:
    tokens = INSTALLING.tokens if version >= 17 else replace(INSTALLING.tokens, node="")
    target, checks = TARGET if version >= 4 else None, CHECKS if version >= 11 else ()
    return replace(INSTALLING, tokens=tokens, target=target, checks=checks)


def machine_of(version: int) -> Machine:
    machine = MACHINE if version >= 2 else replace(MACHINE, variants={})
    machine = replace(machine, **REPORTED) if version >= 8 else machine
    return replace(machine, local_boots=LOCAL_BOOTS) if version >= 18 else machine


def inspections_of(version: int) -> list[Inspection]:
    first, second = INSPECTIONS
    wanted = replace(second, kind=OneTimeBoot.WIPE, requested_medium="ol8", wipe=WIPE)
    return [first, wanted] if version >= 12 else INSPECTIONS if version >= 10 else []


def open_once(url: str) -> None:
    async def scenario() -> None:
        await (await Database.open(url)).close()

    asyncio.run(scenario())


def schema(connection: Connection) -> dict[str, Any]:
    """Read all tables: columns with types and defaults in their order, keys, unique constraints, indexes."""
    inspector = inspect(connection)
    made: dict[str, Any] = {}
    for table in inspector.get_table_names():
        columns = [{**column, "type": repr(column["type"])} for column in inspector.get_columns(table)]
        uniques = sorted(inspector.get_unique_constraints(table), key=lambda found: found["column_names"])
        indexes = [
            {**found, "dialect_options": {key: str(value) for key, value in found.get("dialect_options", {}).items()}}
            for found in sorted(inspector.get_indexes(table), key=lambda found: str(found["name"]))
        ]
        made[table] = (columns, inspector.get_pk_constraint(table), uniques, indexes)
    if connection.dialect.name == "sqlite":  # no row of an inspector's shows it
        query = "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'"
        made["with AUTOINCREMENT"] = sorted(connection.exec_driver_sql(query).scalars())
    return made


async def schema_at(url: str) -> dict[str, Any]:
    database = await Database.open(url)
    try:
        async with database.reading() as connection:
            return await connection.run_sync(schema)
    finally:
        await database.close()


async def schema_of_tables(url: str) -> dict[str, Any]:
    """Read what `tables` creates in a database that no migration touches."""
    database = await Database.open(url)
    try:
        async with database.transaction() as connection:
            await connection.run_sync(tables.metadata.drop_all)
            await connection.run_sync(tables.metadata.create_all)
            return await connection.run_sync(schema)
    finally:
        await database.close()


def test_the_migrations_create_the_tables_of_this_version(store_url: str):
    migrated = asyncio.run(schema_at(store_url))

    assert set(tables.metadata.tables) <= set(migrated)
    assert migrated == asyncio.run(schema_of_tables(store_url))


def test_a_database_is_stored_for_each_version_that_a_migration_leads_to():
    stored = [sorted(int(file.stem) for file in (STORED / name).glob("*.sql")) for name in ("sqlite", "postgresql")]

    assert stored == [list(range(1, len(MIGRATIONS) + 1))] * 2


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stored_database_of_each_version_gets_the_tables_of_this_version(store_url: str, version: int):
    load_stored(store_url, version)

    assert asyncio.run(schema_at(store_url)) == asyncio.run(schema_of_tables(store_url))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stored_database_of_each_version_keeps_its_rows(store_url: str, version: int):
    load_stored(store_url, version)

    async def scenario() -> dict[str, Any]:
        database = await Database.open(store_url)
        try:
            installs, events = Installs(database), EventLog(database)
            return {
                "installs": {install.host: install for install in await installs.all()},
                "history": [(move.at, move.what, move.note, move.actor) for move in await installs.history(CP1)],
                "events": await events.after(0),
                "machines": await Machines(database).all(),
                "leases": await LeaseStore(database).all(),
                "accepted": await AcceptedFiles(database).all(),
                "inspections": await Inspections(database).all(),
                "served": await ServedDocuments(database).of(CP1),
                "allocated": list((await Allocations(database).all()).values()),
                "hooks": await DeliveryQueue(database).results(),
                "deliveries": await DeliveryQueue(database).due("pager", at(5), limit=2),
                "boots": await Boots(database).of_host(CP1),
                "nodes": await Nodes(database).all(),
                "accounts": await AccountStore(database).all(),
                "intents": await PowerIntents(database).of_host(READY.host),
                "rollouts": await Rollouts(database).newest(),
            }
        finally:
            await database.close()

    assert asyncio.run(scenario()) == {
        "installs": {
            CP1: installing_of(version),
            READY.host: replace(READY, identity=IDENTITY) if version >= 18 else READY,
        },
        "history": [
            (at(0), "armed", "first install", ROOT if version >= 6 else None),
            (at(3), "script-sent", "", None),
        ],
        "events": EVENTS,
        "machines": {MAC: machine_of(version)},
        "leases": [LEASE] if version >= 3 else [],
        "accepted": ACCEPTED if version >= 5 else [],
        "inspections": inspections_of(version),
        "served": [SERVED] if version >= 7 else [],
        "allocated": ALLOCATED if version >= 9 else [],
        "hooks": HOOKS if version >= 13 else {},
        "deliveries": DueDeliveries([DELIVERY], None, 1) if version >= 13 else DueDeliveries([], None, 0),
        "boots": [BOOT] if version >= 14 else [],
        "nodes": {READY.host: NODE} if version >= 17 else {},
        "accounts": ACCOUNTS if version >= 15 else StoredAccounts([], [], []),
        "intents": [INTENT] if version >= 19 else [],
        "rollouts": [ROLLOUT] if version >= 19 else [],
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stored_database_of_each_version_takes_new_rows_after_the_old_ones(store_url: str, version: int):
    load_stored(store_url, version)

    async def scenario() -> tuple[list[Event], Install]:
        database = await Database.open(store_url)
        try:
            events, installs = EventLog(database), Installs(database)
            events.take(Event("install.cancelled", at(30), host=CP1), logging.INFO)
            await events.flush()
            await installs.change(CP1, lambda install: replace(install, arming=None), at=at(30), what="cancelled")
            return await events.after(2), await installs.get(CP1)
        finally:
            await database.close()

    recorded, install = asyncio.run(scenario())

    assert recorded == [Event("install.cancelled", at(30), host=CP1, id=3)]
    assert (install.arming, install.version) == (None, INSTALLING.version + 1)


def test_an_arming_of_a_version_without_targets_does_not_hold(store_url: str):
    load_stored(store_url, 3)

    async def scenario() -> Install:
        database = await Database.open(store_url)
        try:
            return await Installs(database).get(CP1)
        finally:
            await database.close()

    install = asyncio.run(scenario())

    assert install.is_armed
    assert install.arming_changes(TARGET) == [
        "it was armed by an earlier version of netboot, which did not record MACs, disk and release"
    ]


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(sqlite_url: str):
    load_stored(sqlite_url, NEWEST_VERSION)
    path = Path(str(make_url(sqlite_url).database))
    with sqlite3.connect(path) as newer:
        newer.execute("INSERT INTO schema_version VALUES (99)")
    newer.close()

    with pytest.raises(StoreError, match=rf"\b99\b.* supports up to {len(MIGRATIONS)}\b"):
        open_once(sqlite_url)

    with sqlite3.connect(path) as newer:
        assert newer.execute("SELECT max(version), count(*) FROM schema_version").fetchone() == (99, NEWEST_VERSION + 1)
    newer.close()


def test_the_newest_version_is_known_without_loading_the_migrations():
    assert len(MIGRATIONS) == NEWEST_VERSION
