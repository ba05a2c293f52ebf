"""Compares what a machine shows of itself with what is recorded: raises alarms, and holds armed installs.

DHCP requests, which any machine can forge, raise alarms. A request for a script from the machine's own address can hold
the armed install of its host; what DHCP requests showed counts then only if the request reports nothing, or if nothing
is recorded, and not after a confirmation. What is recorded is changed by persons and by finished installs alone
(`model.install.machine_identity`). In memory, bounded.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Final

from netboot.boot.decide import hold_of
from netboot.boot.install_moves import InstallMoves
from netboot.boot.sessions.machines_seen import SeenMachine
from netboot.errors import TransitionError
from netboot.events.event_bus import EventBus
from netboot.model.boot.boot_client import BootClient, uuid_text
from netboot.model.boot.machine_facts import Facts, MachineFact
from netboot.model.boot.offer import Policy, WaitPlan, WaitReason
from netboot.model.boot.reasons import Alarm
from netboot.model.clock import Clock
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.checks import InstallCheck
from netboot.model.install.install import Install
from netboot.model.install.machine_identity import Hold, HoldReason, Identity, identity_in, serial_key, uuid_key

MACHINES: Final = 4096  # whose UUIDs are in memory
UUIDS: Final = 4  # of one MAC
RIVAL_S: Final = 900.0  # two UUIDs of one MAC within it are of two machines; a mainboard is not replaced so soon
INDEXED_S: Final = 1.0  # how long the index of recorded machines is used


@dataclass(slots=True)
class _ShownUuid:
    """A UUID that a MAC showed by DHCP, and when it did last, on the monotonic clock."""

    text: str
    at_s: float


@dataclass(slots=True)
class _Index:
    """The hosts by what is recorded of their machines; a value that two hosts have identifies none."""

    hosts: Mapping[int | str, HostName | None]
    built_s: float


@dataclass(frozen=True, slots=True, eq=False)
class IdentityWatch:
    """Async methods raise StoreError."""

    install_moves: InstallMoves
    events: EventBus
    _: KW_ONLY
    hosts: Callable[[], HostSet]
    clock: Clock
    _shown: OrderedDict[Mac, dict[int, _ShownUuid]] = field(default_factory=OrderedDict, init=False)
    _index: list[_Index] = field(default_factory=list, init=False)  # the present one

    # By DHCP

    def note_announcement(self, client: BootClient, seen: SeenMachine, host: Host | None) -> None:
        """Compare option 97 of a boot request with what is known of its MAC. Never waits."""
        key = _key(client.uuid) if client.uuid is not None else None
        if client.uuid is None or key is None:
            return
        text, now_s = uuid_text(client.uuid), self.clock.monotonic()
        rival = self._note_uuid(client.mac, key, text, now_s)
        shown = Identity(client.mac, uuid=text)
        if rival is not None:
            self._raise(Alarm.TWO_MACHINES, seen, host, shown, rival)
        self._compare(shown, seen, host)

    def _note_uuid(self, mac: Mac, key: int, text: str, now_s: float) -> Identity | None:
        """Record a UUID of a MAC; return another machine that used the MAC lately."""
        uuids = self._shown.get(mac)
        if uuids is None:
            uuids = self._shown[mac] = {}
            while len(self._shown) > MACHINES:
                self._shown.popitem(last=False)
        else:
            self._shown.move_to_end(mac)
        uuids.pop(key, None)
        rival = next((each for each in reversed(uuids.values()) if now_s - each.at_s <= RIVAL_S), None)
        uuids[key] = _ShownUuid(text, now_s)
        while len(uuids) > UUIDS:
            del uuids[next(iter(uuids))]
        return Identity(mac, uuid=rival.text) if rival is not None else None

    def _compare(self, shown: Identity, seen: SeenMachine, host: Host | None) -> None:
        """Raise an alarm if a machine is not the recorded one, or is that of a host by a card that is not the host's.

        A host that is armed is compared at its script again, which may hold it.
        """
        if host is None:
            self._compare_unregistered(shown, seen)
            return
        expected = self.install_moves.known(host.name).identity.expected(host.macs)
        if expected is None:
            return
        if shown.differences(expected):
            self._raise(Alarm.OTHER_MACHINE, seen, host, shown, expected)
        elif expected.mac != shown.mac:
            self._raise(Alarm.OTHER_CARD, seen, host, shown, expected)

    def _compare_unregistered(self, shown: Identity, seen: SeenMachine) -> None:
        index = self._present_index()
        keys = [key for key in (uuid_key(shown.uuid), serial_key(shown.serial)) if key is not None]
        name = next((name for key in keys if (name := index.get(key)) is not None), None)
        host = self.hosts().get(name) if name is not None else None
        if host is None:
            return
        expected = self.install_moves.known(host.name).identity.expected(host.macs)
        if expected is not None and shown.is_same_machine(expected):
            self._raise(Alarm.MACHINE_OF_HOST, seen, host, shown, expected)

    def _present_index(self) -> Mapping[int | str, HostName | None]:
        """Return the recorded machines by UUID and serial number; a flood of unregistered machines builds it seldom."""
        now_s = self.clock.monotonic()
        if self._index and 0 <= now_s - self._index[0].built_s < INDEXED_S:
            return self._index[0].hosts
        found: dict[int | str, HostName | None] = {}
        for host in self.hosts():
            recorded = self.install_moves.known(host.name).identity.expected(host.macs)
            for key in (uuid_key(recorded.uuid), serial_key(recorded.serial)) if recorded is not None else ():
                if key is not None:
                    found[key] = None if key in found else host.name
        self._index[:] = [_Index(found, now_s)]
        return found

    # At a script

    def shown(self, seen: SeenMachine, address: IPv4Address, facts: Facts) -> Identity:
        """Return what a machine shows with a request for its script: what this reports, else its last option 97."""
        uuids = self._shown.get(seen.mac, {})
        last = next(reversed(uuids.values()), None)
        by_dhcp = last.text if last is not None and self.clock.monotonic() - last.at_s <= RIVAL_S else ""
        uuid, serial = facts.get(MachineFact.UUID, ""), facts.get(MachineFact.SERIAL, "")
        return Identity(
            seen.mac,
            str(address),
            uuid or by_dhcp,
            serial,
            seen.machine.switch_port,
            is_reported=bool(uuid or serial),
        )

    def compare_script(self, shown: Identity, seen: SeenMachine, host: Host | None) -> None:
        """Raise the alarms of a machine that is not about to be installed; what it reports counts."""
        if shown.is_reported:
            self._compare(shown, seen, host)

    async def hold(
        self, seen: SeenMachine, host: Host, install: Install, *, shown: Identity, policy: Policy, may_ask: bool
    ) -> WaitPlan | None:
        """Return the plan of an armed machine that waits for a person; None: it may boot the installer.

        `may_ask`: its next request can report what it is. So a forged DHCP request does not hold a machine that does.
        """
        found = hold_of(host, install, shown, policy, rival=self._rival(shown))
        if (before := install.hold) is not None:
            why, other = found or (HoldReason.TWO_MACHINES, before.shown)
            now = before.after(Hold(why, before.since, shown, other))
            if now.shown.differences(before.shown):
                await self._begin(seen, host, now)
            elif now != before:
                await self._store(seen, host, now)
            elif shown.is_reported and shown.differences(now.shown):  # who confirms the hold must know of this one
                self._raise(Alarm.TWO_MACHINES, seen, host, shown, now.shown)
            return WaitPlan(seen.mac, WaitReason.HELD, host, now.what)
        if found is None:
            return None
        reason, expected = found
        by_dhcp = not shown.is_reported and reason in (HoldReason.OTHER_MACHINE, HoldReason.TWO_MACHINES)
        if may_ask and by_dhcp and seen.boot.note_problem("identity requested"):
            return WaitPlan(seen.mac, WaitReason.IDENTITY, host)
        hold = Hold(reason, self.clock.now(), shown, expected)
        await self._begin(seen, host, hold)
        return WaitPlan(seen.mac, WaitReason.HELD, host, hold.what)

    def holds(self, host: Host, install: Install, shown: Identity, policy: Policy) -> bool:
        """Return whether an install, as the store has it now, is held, or would be by this machine."""
        return install.hold is not None or hold_of(host, install, shown, policy, rival=self._rival(shown)) is not None

    async def hold_checked(
        self, seen: SeenMachine, host: Host, install: Install, *, checks: tuple[InstallCheck, ...], policy: Policy
    ) -> None:
        """Hold an install whose installer found another machine than is recorded; it waits before it writes."""
        served = install.identity.served
        shown = identity_in(checks, served.mac if served is not None else seen.mac, served.address if served else "")
        if shown is None or install.hold is not None:
            return
        of_itself = replace(install, identity=replace(install.identity, served=None))
        found = hold_of(host, of_itself, shown, policy)
        if found is not None:
            await self._begin(seen, host, Hold(found[0], self.clock.now(), shown, found[1]))

    async def _begin(self, seen: SeenMachine, host: Host, hold: Hold) -> None:
        await self._store(seen, host, hold)
        if hold.reason is not HoldReason.APPROVAL:
            self._raise(Alarm(hold.reason.value), seen, host, hold.shown, hold.expected)

    async def _store(self, seen: SeenMachine, host: Host, hold: Hold) -> None:
        with suppress(TransitionError):  # cancelled meanwhile: the next request boots its disk
            await self.install_moves.hold(host.name, hold, mac=seen.mac)

    def _rival(self, shown: Identity) -> Identity | None:
        """Return another machine that used this MAC lately, by its DHCP requests."""
        key, now_s = uuid_key(shown.uuid), self.clock.monotonic()
        if key is None:
            return None
        others = (each for other, each in self._shown.get(shown.mac, {}).items() if other != key)
        rival = next((each for each in others if now_s - each.at_s <= RIVAL_S), None)
        return Identity(shown.mac, uuid=rival.text) if rival is not None else None

    def _raise(
        self, reason: Alarm, seen: SeenMachine, host: Host | None, shown: Identity, expected: Identity | None
    ) -> None:
        """Raise an alarm with the evidence of both sides, once in a boot, and again if more of the machine is known."""
        if not seen.boot.note_problem(f"identity {reason}{' reported' if shown.is_reported else ''}"):
            return
        data = {
            "reason": reason.value,
            "address": shown.address or None,
            "shown": str(shown),
            "expected": str(expected) if expected is not None else None,
            "differs": "; ".join(shown.differences(expected)) if expected is not None else None,
        }
        self.events.emit("boot.alarm_raised", data, host=host, mac=seen.mac, level=logging.ERROR)


@lru_cache(maxsize=MACHINES)
def _key(option_97: bytes) -> int | None:
    return uuid_key(uuid_text(option_97))
