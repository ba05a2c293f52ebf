"""Requests a confirmed action for one or many hosts, and describes what was done."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from netboot.admin.pages.actions.confirmation import Answers
from netboot.errors import NetbootError
from netboot.model.actor import Actor
from netboot.model.host.host import HostName
from netboot.operate.actions.host_verbs import POWER_ACTIONS, HostVerb
from netboot.operate.administration import Administration
from netboot.operate.arming import ArmRequest, CancelRequest, ConfirmRequest
from netboot.operate.one_time_boots import RescueRequest
from netboot.operate.power.power_request import PowerRequest
from netboot.operate.registration.host_changes import RemovalRequest

_NAMED: Final = 5  # hosts in a sentence

Work = Callable[[HostName], Awaitable[Sequence[str]]]  # on one host; returns what an operator needs to read of it


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, in a sentence; `is_complete`: for every host."""

    text: str
    is_complete: bool = True


class ActionRequests:
    def __init__(self, administration: Administration) -> None:
        self.administration = administration

    async def request(self, verb: HostVerb, names: Sequence[HostName], answers: Answers, *, actor: Actor) -> Done:
        """Request it, and return what was done; raise NetbootError with every reason if nothing was."""
        administration, once = self.administration, self.administration.one_time_boots
        match verb:
            case HostVerb.ARM:
                attempts = int(answers.attempts) if answers.attempts else None
                wanted = ArmRequest(names, answers.reason, attempts, answers.is_forced)
                await administration.arm(wanted, actor=actor)
                return Done(f"{listed(names)} armed: the next network boot wipes the disk")
            case HostVerb.CONFIRM:
                return await self._confirm(names, answers.reason, actor)
            case HostVerb.CANCEL:
                cancelled = await administration.cancel_all(CancelRequest(names, answers.reason), actor=actor)
                return Done("; ".join(note for each in cancelled[:_NAMED] for note in each.notes))
            case HostVerb.INSPECT:
                return await self._inspect(names, actor)
            case HostVerb.RESCUE:
                await once.rescue(RescueRequest(names, answers.medium or None), actor=actor)
                return Done(f"{listed(names)}: the next network boot starts the rescue mode")
            case HostVerb.CANCEL_RESCUE:
                withdrawn = await once.cancel_rescue(names, actor=actor)
                return Done("; ".join(each.note for each in withdrawn[:_NAMED]))
            case HostVerb.RETIRE | HostVerb.WIPE | HostVerb.REMOVE:
                return await self._remove(verb, names, answers, actor)
            case HostVerb.POWER_ON | HostVerb.POWER_OFF | HostVerb.POWER_CYCLE | HostVerb.POWER_PXE:
                power = PowerRequest(names, POWER_ACTIONS[verb], is_forced=answers.is_forced)
                await administration.power.request(power, actor=actor)
                return Done(f"{listed(names)}: power {power.action} is requested; the page of the host has its end")

    async def _confirm(self, names: Sequence[HostName], reason: str, actor: Actor) -> Done:
        async def confirm(name: HostName) -> Sequence[str]:
            await self.administration.confirm(ConfirmRequest(name, reason=reason), actor=actor)
            return ()

        return await _one_by_one(names, confirm, "confirmed: the install goes on within seconds")

    async def _inspect(self, names: Sequence[HostName], actor: Actor) -> Done:
        async def inspect(name: HostName) -> Sequence[str]:
            await self.administration.one_time_boots.inspect(name, actor=actor)
            return ()

        return await _one_by_one(names, inspect, "inspected at the next network boot")

    async def _remove(self, verb: HostVerb, names: Sequence[HostName], answers: Answers, actor: Actor) -> Done:
        changes = self.administration.host_changes
        work = changes.remove if verb is HostVerb.REMOVE else changes.retire

        async def remove(name: HostName) -> Sequence[str]:
            wipe = name if verb is HostVerb.WIPE else ""
            return (await work(RemovalRequest(name, answers.reason, answers.is_forced, wipe), actor=actor)).notes

        return await _one_by_one(names, remove, "removed" if verb is HostVerb.REMOVE else "retired")


async def _one_by_one(
    names: Sequence[HostName], work: Callable[[HostName], Awaitable[Sequence[str]]], what: str
) -> Done:
    """Do it for each host, and end at the first that is refused; raise NetbootError if that is the first of all."""
    notes: list[str] = []
    for number, name in enumerate(names):
        try:
            notes += await work(name)
        except NetbootError as error:
            if number == 0:
                raise
            left = f"not {listed(names[number:])}: {error}"
            return Done("; ".join([f"{listed(names[:number])} {what}", *dict.fromkeys(notes), left]), is_complete=False)
    return Done("; ".join([f"{listed(names)} {what}", *dict.fromkeys(notes)]))


def listed(names: Sequence[str]) -> str:
    """Name hosts in a sentence."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
