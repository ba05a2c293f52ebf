"""Judges whether hosts can be armed now, and arms all of them or none."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from netboot.boot.inspection_records import InspectionRecords
from netboot.boot.install_moves import InstallMoves
from netboot.model.actor import Actor
from netboot.model.boot.boot_client import Machine
from netboot.model.host.host import Host, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection, OneTimeBoot, RequestedBoot, last_reported, requested_boot
from netboot.model.install.install import Install
from netboot.model.words import one_line
from netboot.operate.arming import ArmingRefusedError, ArmRequest, arming_refusals, rescue_reasons
from netboot.operate.cluster.role_deadlines import deadlines_of
from netboot.operate.host_status import ArmedHost, InstallStatus
from netboot.store.machines import Machines

if TYPE_CHECKING:
    from netboot.operate.readiness import Readiness  # slow to load

Found = TypeVar("Found")

FEW: Final = 20  # hosts that are read one by one


@dataclass(frozen=True, slots=True)
class ObservedHost:
    """A host, its stored install, and what was observed of its machine: each card, and what it boots once."""

    host: Host
    install: Install
    machines: Sequence[Machine]
    cards: Sequence[Inspection]

    @property
    def request(self) -> RequestedBoot | None:
        return requested_boot(self.cards)


@dataclass(frozen=True, slots=True)
class JudgedHost:
    """A host, and what an arming of it needs to consider now."""

    observed: ObservedHost
    unready: Sequence[str]  # why it could not be installed now; an operator may force the arming
    rescue: Sequence[str]  # why no arming is possible while a rescue is requested
    warnings: Sequence[str]  # what an operator needs to read before

    @property
    def host(self) -> Host:
        return self.observed.host

    @property
    def refusals(self) -> Sequence[str]:
        """Every reason why it is not armed; empty: it can be armed."""
        return self._refusals([*self.rescue, *self.unready])

    @property
    def binding(self) -> Sequence[str]:
        """The reasons that no force overrides."""
        return self._refusals(self.rescue)

    def _refusals(self, reasons: Sequence[str]) -> Sequence[str]:
        name = self.host.name
        return arming_refusals({name: self.observed.install}, {name: reasons}).get(name, ())


@dataclass(frozen=True, slots=True)
class HostArming:
    """The use case. Methods raise StoreError."""

    install_moves: InstallMoves
    inspections: InspectionRecords
    machines: Machines
    hosts: Callable[[], HostSet]  # in force
    readiness: "Callable[[], Readiness]"
    problems: Callable[[], Sequence[str]]  # of the daemon, which keep machines from being served as declared
    status: Callable[[Install], InstallStatus]
    attempts: int  # of a request that has none
    user: Actor  # of this process: the actor of a change that names none

    async def observe(self, hosts: Sequence[Host]) -> list[ObservedHost]:
        """Read installs, machines and inspections of hosts; of many of them, all that are stored."""
        if len(hosts) > FEW:
            installs, machines = await self.install_moves.all(), await self.machines.all()
            inspections: Mapping[Mac, Inspection] = await self.inspections.all()
        else:
            macs = [mac for host in hosts for mac in host.macs]
            installs = {host.name: await self.install_moves.read(host.name) for host in hosts}
            machines = {each.mac: each for each in await self.machines.of(macs)}
            inspections = {each.mac: each for each in await self.inspections.of(macs)}
        return [
            ObservedHost(
                host,
                installs.get(host.name) or Install(host.name),
                _of_cards(host, machines),
                _of_cards(host, inspections),
            )
            for host in hosts
        ]

    async def judge(self, hosts: Sequence[ObservedHost], *, joins_later: bool = False) -> list[JudgedHost]:
        """Judge whether hosts can be armed now; `joins_later`: by a rollout that is not begun."""
        readiness, server, cluster = self.readiness(), self.problems(), self.hosts().cluster
        judged = []
        for each in hosts:
            host, machines = each.host, each.machines
            unready = await readiness.reasons(
                host, machines=machines, hardware=last_reported(each.cards), joins_later=joins_later
            )
            warnings = [*readiness.warnings(host, each.install, cluster, machines=machines), *server]
            warnings += await readiness.update_warnings(host)
            rescue = rescue_reasons(host.name, each.request)
            judged.append(JudgedHost(each, unready, rescue, list(dict.fromkeys(warnings))))
        return judged

    async def arm(self, request: ArmRequest, *, actor: Actor | None = None) -> list[ArmedHost]:
        """Allow one install of each host, of all of them or of none, and return what will happen.

        Raises ArmingRefusedError with every reason of every host; `force` overrides those for which a host could not
        be installed now, but not a running install.
        """
        names = request.hosts or request.selection.names(self.hosts())
        hosts = list({name: self.hosts().named(name) for name in names}.values())
        judged = await self.judge(await self.observe(hosts))
        _refuse(judged, is_forced=request.force)
        armed = await self.install_moves.arm_all(
            [host.name for host in hosts],
            reason=one_line(request.reason) or "no reason given",
            attempts=request.attempts or self.attempts,
            actor=actor or self.user,
        )
        await self.inspections.withdraw([mac for host in hosts for mac in host.macs], OneTimeBoot.INSPECT)
        found = {install.host: install for install in armed}
        deadlines = await asyncio.to_thread(deadlines_of, hosts)
        return [
            ArmedHost(
                self.status(found[each.host.name]),
                each.host.boot_media,
                each.unready,
                each.warnings,
                deadlines.get(each.host.name, ()),
            )
            for each in judged
        ]


def _refuse(judged: Sequence[JudgedHost], *, is_forced: bool) -> None:
    """Raise ArmingRefusedError if a host is not armed, with the reasons of every host."""
    reasons = {each.host.name: each.binding if is_forced else each.refusals for each in judged}
    refused = {name: found for name, found in reasons.items() if found}
    if refused:
        is_forcible = not is_forced and not any(each.binding for each in judged)
        raise ArmingRefusedError(refused, is_forcible=is_forcible)


def _of_cards(host: Host, found: Mapping[Mac, Found]) -> list[Found]:
    return [found[mac] for mac in host.macs if mac in found]
