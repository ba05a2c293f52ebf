"""Judges a request for a rollout, and makes the rollout of it. Every reason of a refusal has its cure."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from netboot.errors import RolloutError
from netboot.model.host.host import Host, HostName, HostSet, Role
from netboot.model.install.install import MID_INSTALL, Install, InstallState
from netboot.model.rollout.command import REMOVAL, CommandKind, RolloutCommand
from netboot.model.rollout.rollout import MOST_HOSTS, Rollout, RolloutHost, RolloutOptions, RolloutPart
from netboot.operate.actions.host_arming import HostArming
from netboot.operate.cluster.role_file_uses import KEYS_OF_USES
from netboot.operate.rollout.decision.host_moves import USE_OF
from netboot.operate.rollout.decision.observed import Rules
from netboot.operate.rollout.machine_power import BmcPower
from netboot.operate.rollout.ocne.command_programs import CommandPrograms
from netboot.store.rollouts.rollout_store import Rollouts, already_active

_EMBEDDED = (
    "install.ignition is embed, so that a machine gets the Ignition of its role while it is installed and cannot wait "
    "for its join; set install.ignition: fetch"
)
_MAY_WAIT = (
    "{} is installed already, and its system may know the file of its role by its digest: if a command renews that "
    "file, its Ignition fails for good; restart a machine that waits for its file, after the rollout began and before "
    "it joins"
)


@dataclass(frozen=True, slots=True)
class RolloutRequest:
    """Hosts of a rollout; none: every declared one that is not ready. None: the setting applies.

    `replace`: a node that leaves the cluster and is installed anew.
    """

    hosts: Sequence[str] = ()
    max_parallel: int | None = None
    failure_budget: int | None = None
    power: bool = True
    replace: str | None = None


@dataclass(frozen=True, slots=True)
class JudgedRollout:
    """A rollout that is not stored, why it cannot begin, and what an operator reads before."""

    rollout: Rollout
    refusals: Sequence[str]
    warnings: Sequence[str]

    def refuse(self) -> None:
        """Raise RolloutError with every reason; return if there is none."""
        if self.refusals:
            raise refused(self.refusals)


@dataclass(frozen=True, slots=True)
class NewRollouts:
    """Makes rollouts of the hosts in force. `defaults`: the options of a request that has none."""

    hosts: Callable[[], HostSet]
    rollouts: Rollouts
    arming: HostArming
    embeds_ignition: Callable[[], bool]
    rules: Rules
    programs: CommandPrograms
    power: BmcPower
    defaults: RolloutOptions

    async def judge(self, request: RolloutRequest, *, actor: str, now: datetime) -> JudgedRollout:
        """Judge a request; raise UnknownHostError, and StoreError."""
        declared = self.hosts()
        installs = await self.arming.install_moves.all()
        wanted = _wanted(declared, installs, request)
        rollout = self._rollout(wanted, installs, request, actor=actor, now=now)
        if rollout.has_cluster and _is_unfinished(await self.rollouts.newest_of_start()):
            rollout = rollout.with_command(RolloutCommand(CommandKind.START_AGAIN))
        active = await self.rollouts.active()
        refusals = [str(already_active(active.id))] if active is not None else []
        refusals += [*_refusals(declared, wanted, installs, rollout, request=request)]
        if self.embeds_ignition():
            refusals.append(_EMBEDDED)
        refusals += map(str, await asyncio.to_thread(self.programs.problems, _needed(rollout)))
        if request.replace is not None and request.power:  # the node is lost before it is powered on
            problem = await self.power.problem(wanted[0].name)
            refusals += [f"{problem}; or power it on by hand: --no-power"] if problem is not None else []
        warnings: list[str] = []
        blank = [host for host in wanted if _is_installed_anew(host, installs, request)]
        for judged in await self.arming.judge(await self.arming.observe(blank), joins_later=True):
            reasons = [*judged.rescue, *judged.unready]
            refusals += [f"{judged.host.name} cannot be installed: {reason}" for reason in reasons]
            warnings += judged.warnings
        if request.power and (without := [host.name for host in wanted if host.bmc is None]):
            warnings.append(f"no BMC is declared for {', '.join(without)}: a person powers these machines on")
        if request.power:
            unusable = ((host.name, reason) for host in blank for reason in self.power.unusable(host))
            warnings += [f"a person powers {name} on, unless this is corrected: {reason}" for name, reason in unusable]
        if waiting := [each.host for each in rollout.hosts if _is_adopted(each, installs)]:
            warnings.append(_MAY_WAIT.format(", ".join(waiting)))
        warnings += self._by_hand(rollout)
        return JudgedRollout(rollout, list(dict.fromkeys(refusals)), list(dict.fromkeys(warnings)))

    def _rollout(
        self,
        wanted: Sequence[Host],
        installs: Mapping[HostName, Install],
        request: RolloutRequest,
        *,
        actor: str,
        now: datetime,
    ) -> Rollout:
        init, defaults = self.hosts().cluster.init, self.defaults
        budget = defaults.failure_budget if request.failure_budget is None else request.failure_budget
        options = RolloutOptions(request.max_parallel or defaults.max_parallel, budget, request.power)
        hosts = [
            RolloutHost(host.name, _part(host, init), wants_install=request.replace is not None) for host in wanted
        ]
        order = list(RolloutPart)
        has_cluster = init is not None and not any(each.host == init for each in hosts)
        is_ready = has_cluster and _state(installs, HostName(init or "")) is InstallState.READY
        return Rollout(
            0,
            options,
            tuple(sorted(hosts, key=lambda each: order.index(each.part))),
            now,
            actor,
            has_cluster=is_ready,
            replaces=wanted[0].name if request.replace is not None and wanted else None,
        )

    def _by_hand(self, rollout: Rollout) -> Iterator[str]:
        """Yield which commands a person runs."""
        missing = [kind.value for kind in _needed(rollout) if kind not in self.rules.configured]
        if missing:
            yield f"a person runs {', '.join(missing)}: the rollout waits for it; see cluster.commands"


def _needed(rollout: Rollout) -> list[CommandKind]:
    """Return the commands that a rollout needs."""
    needed = [*rollout.commands] if rollout.has_cluster else [CommandKind.START, CommandKind.START_AGAIN]
    parts = {each.part for each in rollout.hosts}
    needed += [CommandKind.JOIN_CONTROL_PLANE] if RolloutPart.CONTROL_PLANE in parts else []
    needed += [CommandKind.JOIN_WORKER] if RolloutPart.WORKER in parts else []
    needed += [*REMOVAL] if rollout.replaces is not None else []
    return needed


def refused(refusals: Sequence[str]) -> RolloutError:
    """Return the refusal of a rollout that may not begin, with every reason."""
    return RolloutError("\n".join([*refusals, "no rollout was begun"]))


def _wanted(declared: HostSet, installs: Mapping[HostName, Install], request: RolloutRequest) -> list[Host]:
    if request.replace is not None:
        return [declared.named(request.replace)]
    if request.hosts:
        return list({name: declared.named(name) for name in request.hosts}.values())
    return [host for host in declared if _state(installs, host.name) is not InstallState.READY]


def _refusals(
    declared: HostSet,
    wanted: Sequence[Host],
    installs: Mapping[HostName, Install],
    rollout: Rollout,
    *,
    request: RolloutRequest,
) -> Iterator[str]:
    init = declared.cluster.init
    if init is None:
        yield "the hosts files have no cluster.init; name the control-plane host that starts the cluster"
        return
    if request.replace is not None and request.hosts:
        yield "a replacement names no other hosts; begin another rollout for them"
    if not wanted:
        yield "every declared host is ready; name the host to install anew with --replace"
    if len(wanted) > MOST_HOSTS:
        yield f"a rollout has {MOST_HOSTS} hosts at most; name some"
    if request.replace == init:
        yield f"{init} is cluster.init and would start another cluster; set cluster.init to another ready host first"
    elif not rollout.has_cluster and all(host.name != init for host in wanted):
        yield f"{init}, which starts the cluster, is not ready; add it to the rollout"
    for host in wanted:
        yield from _of_host(declared, host, installs, request)


def _of_host(
    declared: HostSet, host: Host, installs: Mapping[HostName, Install], request: RolloutRequest
) -> Iterator[str]:
    use = USE_OF[_part(host, declared.cluster.init)]
    path = declared.cluster.ignition.get(use)
    if path is None:
        yield f"the hosts files have no {KEYS_OF_USES[use]}; write the path at which the file of {host.name} will be"
    elif host.ignition != path:
        yield f"{host.name} has an Ignition file of its own, which no command makes; remove hosts.{host.name}.ignition"
    if request.replace is None and _state(installs, host.name) is InstallState.READY:
        yield f"{host.name} is ready; to install it anew: netboot cluster rollout --replace {host.name}"


def _is_installed_anew(host: Host, installs: Mapping[HostName, Install], request: RolloutRequest) -> bool:
    if request.replace is not None:
        return True
    install = installs.get(host.name) or Install(host.name)
    return not (install.is_armed and install.state in MID_INSTALL) and install.state not in (
        InstallState.INSTALLED,
        InstallState.READY,
    )


def _is_unfinished(last: Rollout | None) -> bool:
    """Return whether the last rollout that was to complete the start of the cluster did not do it."""
    return last is not None and not last.command(CommandKind.START_AGAIN).is_done


def _is_adopted(each: RolloutHost, installs: Mapping[HostName, Install]) -> bool:
    return not each.wants_install and _state(installs, each.host) is InstallState.INSTALLED


def _part(host: Host, init: str | None) -> RolloutPart:
    if host.name == init:
        return RolloutPart.INIT
    return RolloutPart.CONTROL_PLANE if host.role is Role.CONTROL_PLANE else RolloutPart.WORKER


def _state(installs: Mapping[HostName, Install], name: HostName) -> InstallState:
    return (installs.get(name) or Install(name)).state
