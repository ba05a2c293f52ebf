"""The appliances of a shared store: each one's sign of life, and what differs between them.

An arming is ended because its host changed only while the appliances agree: an operator copies the files to one after
the other, and the one that has the older files must not end what the other one armed.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import chain
from typing import Final, NamedTuple

import structlog

from netboot import __version__
from netboot.app.appliances.declared_here import DeclaredHere
from netboot.app.hosts_in_force import listed
from netboot.app.store_access import OpenStore
from netboot.errors import DescriptorsError, StoreError
from netboot.events.event_bus import EventBus
from netboot.model.appliances.known_appliance import ApplianceState, Declaration, KnownAppliance
from netboot.model.clock import Clock
from netboot.model.host.host import HostSet
from netboot.settings.settings import Settings
from netboot.store.appliances.appliance_rows import ApplianceRows
from netboot.telemetry.metrics import Reading

BEAT_S: Final = 2.0
READ_S: Final = 10.0  # how soon a changed release or Ignition file is noticed
DIFFER_S: Final = 10.0  # files may be copied so long without an alarm
PARTS: Final = {
    "hosts": "the hosts files",
    "content": "the content",
    "key": "the key of the store",
}
_CURES: Final = {
    "hosts": "copy the hosts files and Ignition files of the newer one to the other, then netboot reload there; until "
    "then no arming ends because its host changed",
    "content": "copy the content directory, then netboot content list",
    "key": "copy store.key from the one that armed last to the other, then restart netboot on that one; until then "
    "their hosts are not compared, and no arming ends because its host changed",
}

log = structlog.get_logger()


class OnLan(NamedTuple):
    """Where an appliance is on the boot LAN."""

    url: str
    addresses: list[str]


class KnownAppliances:
    """Follows the others of a shared store; `rows` is None where a store has one daemon."""

    def __init__(
        self,
        rows: ApplianceRows | None,
        own: KnownAppliance,
        declared_here: DeclaredHere,
        *,
        on_lan: Callable[[], OnLan],
        events: EventBus,
        clock: Clock,
    ) -> None:
        self._rows, self._own, self._declared_here, self._on_lan = rows, own, declared_here, on_lan
        self._events, self._clock = events, clock
        self._others: list[KnownAppliance] = []
        self._since: dict[tuple[str, str], float] = {}  # by appliance and part: when they began to differ
        self._alarms: dict[tuple[str, str], KnownAppliance] = {}
        self._read_at_s: float | None = None
        self._began_s = clock.monotonic()
        self._followed_s = 0.0  # how long the others were followed at the last refresh
        self._is_known, self._has_left = rows is None, False
        self._is_refreshing = asyncio.Lock()
        self._wake = asyncio.Event()
        self.on_agreed: Callable[[], Awaitable[object]] | None = None

    def agree(self) -> bool:
        """Return whether all appliances that run declare the same; False before that is known."""
        if self._rows is None:
            return True
        is_known = self._is_known and self._read_at_s is not None
        return is_known and not any(self._own.declared.differences(each.declared) for each in self._running())

    def running_ids(self) -> Collection[str] | None:
        """Return the ids of this appliance and of those that run beside it; None: they are not known yet."""
        return {self._own.id, *(each.id for each in self._running())} if self._is_known else None

    async def declare(self) -> None:
        """Write what this appliance declares now, and read the others; if the store fails, that is done later."""
        self._read_at_s = None
        with suppress(StoreError):
            await self._refresh()

    async def read_changed(self, _subjects: object = None) -> None:
        """Refresh soon: another appliance joined, left, or declares something else."""
        self._wake.set()

    async def run(self) -> None:
        """Give signs of life, until cancelled."""
        while self._rows is not None:
            self._wake.clear()
            did_agree = self.agree()
            try:
                await self._refresh()
            except StoreError as error:
                log.debug("appliance.sign_delayed", reason=str(error))
            if self.agree() and not did_agree and self.on_agreed is not None:
                await self.on_agreed()
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._wake.wait()

    async def leave(self) -> None:
        """Leave the store at a stop."""
        async with self._is_refreshing:
            if self._rows is not None and not self._has_left:
                self._has_left = True
                with suppress(StoreError):
                    await self._rows.leave(self._own.id)
                    self._events.emit("appliance.left", self._data(self._own))

    def addresses(self) -> frozenset[IPv4Address]:
        """Return the addresses of the others on the boot LAN, whose replies are of no foreign server.

        One that is not IPv4, as a newer version may declare, sends no DHCP.
        """
        found = set()
        for address in chain.from_iterable(each.declared.addresses for each in self._others):
            with suppress(ValueError):
                found.add(IPv4Address(address))
        return frozenset(found)

    def states(self) -> list[ApplianceState]:
        """List this appliance and the others; empty where a store has one daemon."""
        if self._rows is None:
            return []
        return [
            ApplianceState(
                each.name,
                each.url,
                each.version,
                each.joined_at,
                round(each.unseen_s, 1),
                is_this=each is self._own,
                is_lost=each.is_lost,
                differs={} if each.is_lost else self._own.declared.differences(each.declared),
                problems=[] if each is self._own else self._problems_of(each),
            )
            for each in (self._own, *self._others)
        ]

    def problems(self) -> list[str]:
        """List what differs from the others for longer than `DIFFER_S`."""
        return [self._sentence(part, each) for (_, part), each in self._alarms.items()]

    def warnings(self) -> list[str]:
        """List the appliances that give no sign of life, and those that have the name of this one."""
        lost = [_lost(each) for each in self._others if each.is_lost]
        return [*lost, *(_same_name(each) for each in self._running() if self._has_name_of_this(each))]

    def readings(self) -> Iterator[Reading]:
        """Count the appliances by their state."""
        if self._rows is not None:
            lost = sum(each.is_lost for each in self._others)
            yield Reading("appliances", 1 + len(self._others) - lost, ("running",))
            yield Reading("appliances", lost, ("lost",))
            for part in PARTS:
                yield Reading("appliances_differ", sum(part == each for _, each in self._alarms), (part,))

    async def _refresh(self) -> None:
        if self._rows is None:
            return
        async with self._is_refreshing:
            if self._has_left:
                return
            now_s = self._clock.monotonic()
            declared = await self._declared(now_s)
            if declared is None:
                return
            here = self._on_lan()
            self._own = replace(self._own, declared=replace(declared, addresses=here.addresses), url=here.url)
            refreshed = await self._rows.refresh(self._own)
            self._others = [each for each in refreshed.all if each.id != self._own.id]
            self._is_known, self._followed_s = True, now_s - self._began_s
            if refreshed.has_joined:
                self._events.emit("appliance.joined", self._data(self._own))
            for each in refreshed.lost:
                self._events.emit("appliance.lost", self._data(each), level=logging.ERROR)
            self._compare(now_s)

    async def _declared(self, now_s: float) -> Declaration | None:
        """Return what this appliance declares; while no descriptor is left to read it, what it declared last, if any.

        Files that cannot be opened are not missing: the others must see no difference.
        """
        if self._read_at_s is None or now_s - self._read_at_s >= READ_S:
            try:
                found = await asyncio.to_thread(self._declared_here.read)
            except DescriptorsError:
                return self._own.declared if self._is_known else None
            self._read_at_s = now_s
            return found
        return self._own.declared

    def _compare(self, now_s: float) -> None:
        """Raise an alarm for what differs for some seconds, and end it; of two appliances one emits the events."""
        differing = {
            (each.id, part): (each, names)
            for each in self._running()
            for part, names in self._own.declared.differences(each.declared).items()
        }
        self._since = {key: self._since.get(key, now_s) for key in differing}
        for key, (each, names) in differing.items():
            if now_s - self._since[key] >= DIFFER_S:
                if key not in self._alarms and self._own.id < each.id:
                    self._emit_difference(key[1], {**self._data(each), "differs": listed(names)})
                self._alarms[key] = each
        for key in self._alarms.keys() - differing.keys():
            each = self._alarms.pop(key)
            if self._own.id < each.id:
                self._events.emit("appliance.difference_ended", {**self._data(each), "part": key[1]})

    def _emit_difference(self, part: str, data: Mapping[str, str]) -> None:
        match part:
            case "hosts":
                self._events.emit("appliance.hosts_differ", data, level=logging.ERROR)
            case "content":
                self._events.emit("appliance.content_differ", data, level=logging.ERROR)
            case _:
                self._events.emit("appliance.key_differ", data, level=logging.ERROR)

    def _running(self) -> list[KnownAppliance]:
        return [each for each in self._others if not each.is_lost]

    def _sentence(self, part: str, other: KnownAppliance) -> str:
        if part == "key":
            return f"{PARTS[part]} here is not the one of appliance {_label(other)}; {_CURES[part]}"
        names = listed(self._own.declared.differences(other.declared).get(part, ()))
        return f"{PARTS[part]} here and on appliance {_label(other)} differ: {names}; {_CURES[part]}"

    def _problems_of(self, other: KnownAppliance) -> list[str]:
        """Describe what differs from another appliance now, and what else is to be done about it."""
        if other.is_lost:
            return [_lost(other)]
        found = [self._sentence(part, other) for part in self._own.declared.differences(other.declared)]
        return [*found, _same_name(other)] if self._has_name_of_this(other) else found

    def _has_name_of_this(self, other: KnownAppliance) -> bool:
        """Return whether another daemon that runs has this one's name; False for an earlier, killed run of this one."""
        return other.name == self._own.name and other.unseen_s < self._followed_s

    def _data(self, each: KnownAppliance) -> Mapping[str, str]:
        return {"appliance": each.name, "url": each.url, "version": each.version}


def _label(appliance: KnownAppliance) -> str:
    return f"{appliance.name} ({appliance.url})" if appliance.url else appliance.name


def _lost(appliance: KnownAppliance) -> str:
    return (
        f"appliance {_label(appliance)} gives no sign of life for {appliance.unseen_s:.0f} s; see systemctl status "
        "netboot there, its network and its connection to the database"
    )


def _same_name(appliance: KnownAppliance) -> str:
    return (
        f"another appliance has the name of this one, {_label(appliance)}: events and lists do not distinguish them, "
        "and the loss of one may not be reported; on one of the two: hostnamectl hostname NAME, then systemctl restart "
        "netboot"
    )


def appliances_of(
    store: OpenStore,
    settings: Settings,
    hosts: Callable[[], HostSet],
    *,
    on_lan: Callable[[], OnLan],
    clock: Clock,
) -> KnownAppliances:
    """Build the appliances of the store; the URL of this one is that on the boot LAN, if no setting has one."""
    place = str(settings.admin.socket.absolute())
    own = KnownAppliance(
        store.database.writer, socket.gethostname(), place, "", __version__, Declaration(), joined_at=clock.now()
    )
    declared = DeclaredHere(hosts, settings.content.directory, store.database.sealing)
    public_url = settings.admin.public_url

    def place_here() -> OnLan:
        here = on_lan()
        return OnLan(public_url or here.url, here.addresses)

    return KnownAppliances(
        ApplianceRows(store.database) if store.database.is_shared else None,
        own,
        declared,
        on_lan=place_here,
        events=store.events,
        clock=clock,
    )
