"""The other appliances of a shared store, as they declare themselves, also those of a newer version."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeVar

import pytest
from fixtures.no_descriptor import no_descriptor_left

from netboot.app.appliances.declared_here import CLUSTER, DeclaredHere
from netboot.app.appliances.known_appliances import KnownAppliances, OnLan
from netboot.events.event_bus import EventBus
from netboot.events.event_log import EventLog
from netboot.model.appliances.known_appliance import Declaration, KnownAppliance
from netboot.model.clock import SYSTEM_CLOCK, utc_now
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.mac import Mac
from netboot.store.appliances.appliance_rows import ApplianceRows
from netboot.store.database import Database

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)]

NOW = datetime(2026, 11, 30, tzinfo=UTC)
HOSTS = HostSet(Cluster("rack"))
NEWER = Declaration(addresses=["192.0.2.11", "2001:db8::11", "192.0.2.12/24", "192.0.2.13"])
SAME_NAME = (
    "another appliance has the name of this one, a (https://b): events and lists do not distinguish them, and the loss "
    "of one may not be reported; on one of the two: hostnamectl hostname NAME, then systemctl restart netboot"
)
HOSTS_DIFFER = (
    "the hosts files here and on appliance a (https://b) differ: the cluster; copy the hosts files and Ignition files "
    "of the newer one to the other, then netboot reload there; until then no arming ends because its host changed"
)
Found = TypeVar("Found")


class Followed:
    """The appliances of a store from the view of the one named `a`; the test writes the rows of others."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.now_s, self.rows, self.hosts = 0.0, ApplianceRows(database), HOSTS
        declared_here = DeclaredHere(lambda: self.hosts, directory, database.sealing)
        self.declared = declared_here.read()
        self.appliances = KnownAppliances(
            self.rows,
            KnownAppliance("id-a", "a", "/run/a.sock", "", "1.0", Declaration(), NOW),
            declared_here,
            on_lan=lambda: OnLan("", ["192.0.2.10"]),
            events=EventBus(EventLog(database), now=utc_now),
            clock=replace(SYSTEM_CLOCK, monotonic=lambda: self.now_s),
        )

    async def declared_now(self) -> Declaration:
        """What others read of this one."""
        watched = KnownAppliance("id-w", "w", "/run/w.sock", "", "1.0", Declaration(), NOW)
        [own] = [each for each in (await self.rows.refresh(watched)).all if each.id == "id-a"]
        await self.rows.leave("id-w")
        return own.declared

    async def refresh(self, *others: KnownAppliance) -> None:
        for other in others:
            await self.rows.refresh(other)
        await self.appliances.declare()


def followed(store_url: str, directory: Path, scenario: Callable[[Followed], Awaitable[Found]]) -> Found:
    async def run() -> Found:
        database = await Database.open(store_url)
        try:
            return await scenario(Followed(database, directory))
        finally:
            await database.close()

    return asyncio.run(run())


def test_an_address_of_another_appliance_that_is_not_ipv4_is_left_out(store_url: str, tmp_path: Path):
    async def scenario(found: Followed) -> frozenset[IPv4Address]:
        await found.refresh(KnownAppliance("id-b", "b", "/run/b.sock", "", "9.0", NEWER, NOW))
        return found.appliances.addresses()

    assert followed(store_url, tmp_path, scenario) == {IPv4Address("192.0.2.11"), IPv4Address("192.0.2.13")}


def test_what_differs_and_a_name_that_two_have_are_shown_with_their_cures(store_url: str, tmp_path: Path):
    async def scenario(found: Followed) -> None:
        hosts = {**found.declared.hosts, CLUSTER: "another"}
        other = KnownAppliance(
            "id-b", "a", "/run/b.sock", "https://b", "1.0", replace(found.declared, hosts=hosts), NOW
        )
        found.now_s += 60
        await found.refresh(other)

        this, that = found.appliances.states()
        assert (this.is_this, this.problems) == (True, [])
        assert (that.differs, that.problems) == ({"hosts": ["the cluster"]}, [HOSTS_DIFFER, SAME_NAME])
        assert found.appliances.warnings() == [SAME_NAME]

        await found.refresh(replace(other, name="b", declared=found.declared))
        assert [each.problems for each in found.appliances.states()] == [[], []]
        assert found.appliances.warnings() == []

    followed(store_url, tmp_path, scenario)


def test_an_earlier_run_of_this_one_that_was_killed_is_no_second_appliance_of_its_name(store_url: str, tmp_path: Path):
    async def scenario(found: Followed) -> None:
        await found.refresh(KnownAppliance("id-0", "a", "/run/a.sock", "", "1.0", found.declared, NOW))
        assert [each.problems for each in found.appliances.states()] == [[], []]
        assert found.appliances.warnings() == []

    followed(store_url, tmp_path, scenario)


def test_files_that_cannot_be_opened_change_nothing_that_is_declared_until_they_can(store_url: str, content: Path):
    async def scenario(found: Followed) -> None:
        mac, media = Mac("52:54:00:aa:bb:11"), {"boot_media": "ol8u10-x86_64"}
        found.hosts = HostSet.of(HOSTS.cluster, [Host(HostName("w1"), Role.WORKER, (mac,), **media)])
        with_release = Host(HostName("w1"), Role.WORKER, (mac,), release="ock-1.31-amd64", **media)
        await found.refresh()
        other = KnownAppliance("id-b", "b", "/run/b.sock", "", "1.0", await found.declared_now(), NOW)
        await found.refresh(other)
        assert found.appliances.agree()

        found.hosts = HostSet.of(HOSTS.cluster, [with_release])
        with no_descriptor_left():
            await found.refresh()
            assert not found.appliances.agree()  # the hosts are others now: no arming ends
            assert (await found.declared_now(), found.appliances.states()[1].differs) == (other.declared, {})

        await found.refresh()
        commit = dict((await found.declared_now()).content)
        assert found.appliances.states()[1].differs == {"hosts": ["w1"], "content": ["release ock-1.31-amd64"]}
        assert "missing" not in commit.values()

    followed(store_url, content, scenario)


def test_an_appliance_that_cannot_open_its_files_at_its_start_declares_nothing_yet(store_url: str, content: Path):
    async def scenario(found: Followed) -> tuple[object, object]:
        host = Host(HostName("w1"), Role.WORKER, (Mac("52:54:00:aa:bb:11"),), release="ock-1.31-amd64")
        found.hosts = HostSet.of(HOSTS.cluster, [host])
        await found.rows.refresh(KnownAppliance("id-b", "b", "/run/b.sock", "", "1.0", found.declared, NOW))
        with no_descriptor_left():
            await found.refresh()
            return found.appliances.running_ids(), found.appliances.agree()

    assert followed(store_url, content, scenario) == (None, False)
