"""Which actions an operator can request for hosts now, and why the others are refused.

The sentences are those with which the use cases themselves refuse, so that commands, the API and the pages agree.
Changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from netboot.boot.install_moves import InstallMoves
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.install.inspection import OneTimeBoot
from netboot.model.install.install import Install
from netboot.operate.actions.host_arming import FEW, HostArming, JudgedHost
from netboot.operate.arming import cancel_refusals
from netboot.operate.one_time_boots import OneTimeBoots, no_rescue
from netboot.operate.registration.host_changes import HostChanges, running_refusals


class HostVerb(StrEnum):
    """An action on a host, as the commands name it."""

    ARM = "arm"
    CANCEL = "cancel"
    INSPECT = "inspect"
    RESCUE = "rescue"
    CANCEL_RESCUE = "cancel-rescue"
    RETIRE = "retire"
    WIPE = "wipe"  # the host is retired, and its disk is wiped
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class HostAction:
    """One action on one host. `reasons`: every sentence with which it is refused now; empty: it can be requested."""

    host: HostName
    verb: HostVerb
    reasons: Sequence[str] = ()
    warnings: Sequence[str] = ()  # what an operator needs to read before
    is_forcible: bool = False  # it is refused, and `force` overrides every reason

    @property
    def refusal(self) -> str | None:
        """Every reason, one a line; None: it is not refused."""
        return "\n".join(self.reasons) or None


class HostActions:
    def __init__(
        self,
        arming: HostArming,
        one_time_boots: OneTimeBoots,
        host_changes: HostChanges,
        *,
        install_moves: InstallMoves,
        hosts: Callable[[], HostSet],
        now: Callable[[], datetime],
    ) -> None:
        self._arming, self._one_time_boots, self._host_changes = arming, one_time_boots, host_changes
        self._install_moves, self._hosts, self._now = install_moves, hosts, now

    async def of(self, name: str) -> list[HostAction]:
        """List the actions on one host; raise UnknownHostError, StoreError."""
        return (await self.of_hosts([name]))[HostName(name)]

    async def of_hosts(self, names: Sequence[str]) -> Mapping[HostName, list[HostAction]]:
        """List the actions on each of these hosts; raise UnknownHostError, StoreError."""
        return {each.host.name: actions for each, actions in await self.judged(names)}

    async def judged(self, names: Sequence[str]) -> list[tuple[JudgedHost, list[HostAction]]]:
        """Judge hosts for every action; raise UnknownHostError, StoreError."""
        hosts = [self._hosts().named(name) for name in dict.fromkeys(names)]
        installs = await self._installs(hosts)
        kept = await self._host_changes.removal_refusals(hosts)
        found = await self._arming.judge(hosts, installs)
        return [(each, await self._actions(each, kept.get(each.host.name))) for each in found]

    async def _installs(self, hosts: Sequence[Host]) -> Mapping[HostName, Install]:
        if len(hosts) > FEW:
            return await self._install_moves.all()
        return {host.name: await self._install_moves.read(host.name) for host in hosts}

    async def _actions(self, judged: JudgedHost, kept: str | None) -> list[HostAction]:
        """Return the actions on one host; `kept`: why its file is not deleted."""
        host, install, request = judged.host, judged.install, judged.request
        is_rescued = request is not None and request.kind is OneTimeBoot.RESCUE
        inspection = await self._one_time_boots.judge_inspection(host, install, request)
        rescue = await self._one_time_boots.judge_rescue(host, install)
        return [
            HostAction(
                host.name,
                HostVerb.ARM,
                judged.refusals,
                judged.warnings,
                is_forcible=bool(judged.refusals) and not judged.binding,
            ),
            HostAction(host.name, HostVerb.CANCEL, cancel_refusals(install)),
            HostAction(host.name, HostVerb.INSPECT, inspection[1]),
            HostAction(host.name, HostVerb.RESCUE, rescue[1]),
            HostAction(host.name, HostVerb.CANCEL_RESCUE, () if is_rescued else (no_rescue(host.name),)),
            *await self._removals(host, judged, kept),
        ]

    async def _removals(self, host: Host, judged: JudgedHost, kept: str | None) -> list[HostAction]:
        """Return the actions that end with the removal of a host's file."""
        running = running_refusals(judged.install, self._now())
        reasons = [*([kept] if kept is not None else []), *running]
        is_forcible = bool(running) and kept is None
        wipe = (await self._one_time_boots.judge_wipe(host))[1]
        return [
            HostAction(host.name, HostVerb.RETIRE, reasons, is_forcible=is_forcible),
            HostAction(host.name, HostVerb.WIPE, [*reasons, *wipe], is_forcible=is_forcible and not wipe),
            HostAction(host.name, HostVerb.REMOVE, reasons, is_forcible=is_forcible),
        ]
