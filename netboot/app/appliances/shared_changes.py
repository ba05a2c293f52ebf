"""Reads again what other appliances and commands changed in the store, and this daemon has in memory."""

import asyncio
from collections.abc import Collection
from dataclasses import KW_ONLY, dataclass, field

from netboot.app.appliances.known_appliances import KnownAppliances
from netboot.app.store_access import OpenStore
from netboot.boot.inspection_records import InspectionRecords
from netboot.boot.install_moves import InstallMoves
from netboot.boot.live_registry import LiveRegistry
from netboot.model.host.host import HostName
from netboot.operate.access.access_uses import AccessUses
from netboot.store.changes.notification import Changed


@dataclass(frozen=True, slots=True, eq=False)
class SharedChanges:
    """Follows the changes that concern installs, inspections, events, hooks and accounts."""

    store: OpenStore
    _: KW_ONLY
    install_moves: InstallMoves
    inspections: InspectionRecords
    access: AccessUses
    appliances: KnownAppliances
    registry: LiveRegistry
    _armed: dict[HostName, None] = field(default_factory=dict, init=False)  # by others, not verified here yet
    _has_armed: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        changes, event_log = self.store.changes, self.store.event_log
        changes.follow(Changed.INSTALL, self._read_installs)
        changes.follow(Changed.INSPECTION, self.inspections.read_changed)
        changes.follow(Changed.ACCESS, self.access.accounts.read_changed)
        changes.follow(Changed.EVENTS, event_log.read_changed)
        changes.follow(Changed.HOOK, self.store.outbox.read_changed)
        changes.follow(Changed.APPLIANCE, self.appliances.read_changed)
        event_log.follow_others(self.store.newest_events.event_of_others)

    async def run(self) -> None:
        """Verify each host that another appliance armed, so that its script waits for no rendering here."""
        while True:
            await self._has_armed.wait()
            self._has_armed.clear()
            while self._armed:
                name = next(iter(self._armed))
                del self._armed[name]
                registry = self.registry.now
                if (host := registry.hosts.get(name)) is not None:
                    await registry.documents.problems(host)

    async def _read_installs(self, hosts: Collection[str] | None) -> None:
        armed = await self.install_moves.read_changed(hosts)
        self._armed.update(dict.fromkeys(armed))
        if armed:
            self._has_armed.set()
