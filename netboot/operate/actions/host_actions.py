"""Which actions an operator can request for hosts now, and why the others are refused.

The sentences are those with which the use cases themselves refuse, so that commands, the API and the pages agree.
Changes nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import product

from netboot.model.host.host import HostName, HostSet
from netboot.model.install.inspection import OneTimeBoot
from netboot.operate.actions.host_arming import HostArming, JudgedHost, ObservedHost
from netboot.operate.actions.host_verbs import POWER_ACTIONS, REMOVALS, HostAction, HostVerb
from netboot.operate.arming import cancel_refusals, confirm_refusals
from netboot.operate.one_time_boots import OneTimeBoots, no_rescue
from netboot.operate.power.power_requests import PowerRequests
from netboot.operate.registration.host_changes import HostChanges, running_refusals
from netboot.operate.running_daemon import NO_DAEMON


class HostActions:
    def __init__(
        self,
        arming: HostArming,
        one_time_boots: OneTimeBoots,
        host_changes: HostChanges,
        power: PowerRequests | None,
        *,
        hosts: Callable[[], HostSet],
        now: Callable[[], datetime],
    ) -> None:
        self._arming, self._one_time_boots, self._host_changes = arming, one_time_boots, host_changes
        self._power = power  # None: no daemon runs, and no BMC is used without one
        self._hosts, self._now = hosts, now

    async def of(self, name: str) -> list[HostAction]:
        """List the actions on one host; raise UnknownHostError, StoreError."""
        (observed,) = await self._arming.observe([self._hosts().named(name)])
        (judged,) = await self._arming.judge([observed])
        kept = await self._host_changes.removal_refusals([observed.host])
        verbs = [verb for verb in HostVerb if verb is not HostVerb.ARM and verb not in POWER_ACTIONS]
        others = [await self._action(verb, observed, kept) for verb in verbs]
        return [_arm(judged), *others, *await self._power_actions([observed], POWER_ACTIONS)]

    async def on(self, names: Sequence[str], verb: HostVerb) -> list[tuple[ObservedHost, HostAction]]:
        """Return one action on each of these hosts; raise UnknownHostError, StoreError."""
        hosts = [self._hosts().named(name) for name in dict.fromkeys(names)]
        observed = await self._arming.observe(hosts)
        if verb is HostVerb.ARM:
            return [(each.observed, _arm(each)) for each in await self._arming.judge(observed)]
        if verb in POWER_ACTIONS:
            return list(zip(observed, await self._power_actions(observed, [verb]), strict=True))
        kept = await self._host_changes.removal_refusals(hosts) if verb in REMOVALS else {}
        return [(each, await self._action(verb, each, kept)) for each in observed]

    async def _power_actions(self, hosts: Sequence[ObservedHost], verbs: Collection[HostVerb]) -> list[HostAction]:
        """Judge power actions on hosts as their request would be judged now."""
        if self._power is None:
            return [HostAction(each.host.name, verb, [NO_DAEMON]) for each, verb in product(hosts, verbs)]
        newest = await self._power.newest([each.host.name for each in hosts])
        open_ = {host: last for host, last in newest.items() if last.is_open}
        with_installs = [(each.host, each.install, open_.get(each.host.name)) for each in hosts]
        judged = await self._power.possible([POWER_ACTIONS[verb] for verb in verbs], with_installs)
        found = []
        for each, actions in zip(hosts, judged, strict=True):
            last = newest.get(each.host.name)
            after = last.id if last is not None else ""
            found += [
                HostAction(each.host.name, verb, one.reasons, is_forcible=one.is_forcible, after=after)
                for verb, one in zip(verbs, actions, strict=True)
            ]
        return found

    async def _action(self, verb: HostVerb, observed: ObservedHost, kept: Mapping[HostName, str]) -> HostAction:
        """Return an action other than an arming; `kept`: why the files of hosts are not deleted."""
        host, install, request, once = observed.host, observed.install, observed.request, self._one_time_boots
        match verb:
            case HostVerb.CONFIRM:
                return HostAction(host.name, verb, confirm_refusals(install))
            case HostVerb.CANCEL:
                return HostAction(host.name, verb, cancel_refusals(install))
            case HostVerb.INSPECT:
                return HostAction(host.name, verb, (await once.judge_inspection(host, install, request))[1])
            case HostVerb.RESCUE:
                return HostAction(host.name, verb, (await once.judge_rescue(host, install))[1])
            case HostVerb.CANCEL_RESCUE:
                is_rescued = request is not None and request.kind is OneTimeBoot.RESCUE
                return HostAction(host.name, verb, () if is_rescued else (no_rescue(host.name),))
            case _:
                return await self._removal(verb, observed, kept.get(host.name))

    async def _removal(self, verb: HostVerb, observed: ObservedHost, kept: str | None) -> HostAction:
        """Return an action that ends with the removal of a host's file."""
        running = running_refusals(observed.install, self._now())
        wipe = (await self._one_time_boots.judge_wipe(observed.host))[1] if verb is HostVerb.WIPE else []
        binding = [*([kept] if kept is not None else []), *wipe]
        is_forcible = bool(running) and not binding
        return HostAction(observed.host.name, verb, [*binding, *running], is_forcible=is_forcible)


def _arm(judged: JudgedHost) -> HostAction:
    is_forcible = bool(judged.refusals) and not judged.binding
    return HostAction(judged.host.name, HostVerb.ARM, judged.refusals, judged.warnings, is_forcible=is_forcible)
