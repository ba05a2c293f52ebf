"""The other appliances of a shared store, as they declare themselves, also those of a newer version."""

import asyncio
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.app.appliances.declared_here import DeclaredHere
from netboot.app.appliances.known_appliances import KnownAppliances, OnLan
from netboot.events.event_bus import EventBus
from netboot.events.event_log import EventLog
from netboot.model.appliances.known_appliance import Declaration, KnownAppliance
from netboot.model.clock import SYSTEM_CLOCK, utc_now
from netboot.model.host.host import Cluster, HostSet
from netboot.store.appliances.appliance_rows import ApplianceRows
from netboot.store.database import Database

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)]

NOW = datetime(2026, 11, 30, tzinfo=UTC)
HOSTS = HostSet(Cluster("rack"))
NEWER = Declaration(addresses=["192.0.2.11", "2001:db8::11", "192.0.2.12/24", "192.0.2.13"])


def test_an_address_of_another_appliance_that_is_not_ipv4_is_left_out(store_url: str, tmp_path: Path):
    async def scenario() -> frozenset[IPv4Address]:
        database = await Database.open(store_url)
        try:
            rows = ApplianceRows(database)
            await rows.refresh(KnownAppliance("id-b", "b", "/run/b.sock", "", "9.0", NEWER, NOW))
            appliances = KnownAppliances(
                rows,
                KnownAppliance("id-a", "a", "/run/a.sock", "", "1.0", Declaration(), NOW),
                DeclaredHere(lambda: HOSTS, tmp_path, database.sealing),
                on_lan=lambda: OnLan("", ["192.0.2.10"]),
                events=EventBus(EventLog(database), now=utc_now),
                clock=SYSTEM_CLOCK,
            )
            await appliances.declare()
            return appliances.addresses()
        finally:
            await database.close()

    assert asyncio.run(scenario()) == {IPv4Address("192.0.2.11"), IPv4Address("192.0.2.13")}
