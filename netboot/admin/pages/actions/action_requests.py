"""Requests a confirmed action for one or many hosts, and describes what was done."""

from collections.abc import Sequence
from typing import Final

from netboot.admin.pages.actions.confirmation import Answers
from netboot.model.actor import Actor
from netboot.model.host.host import HostName
from netboot.operate.actions.host_actions import HostVerb
from netboot.operate.administration import Administration
from netboot.operate.arming import ArmRequest, CancelRequest
from netboot.operate.one_time_boots import RescueRequest
from netboot.operate.registration.host_changes import HostsChanged, RemovalRequest

_NAMED: Final = 5  # hosts in a sentence


class ActionRequests:
    def __init__(self, administration: Administration) -> None:
        self.administration = administration

    async def request(self, verb: HostVerb, names: Sequence[HostName], answers: Answers, *, actor: Actor) -> str:
        """Request it, and return what was done; raise NetbootError with every reason if it is refused."""
        administration, once = self.administration, self.administration.one_time_boots
        match verb:
            case HostVerb.ARM:
                attempts = int(answers.attempts) if answers.attempts else None
                wanted = ArmRequest(names, answers.reason, attempts, answers.is_forced)
                await administration.arm(wanted, actor=actor)
                return f"{listed(names)} armed: the next network boot wipes the disk"
            case HostVerb.CANCEL:
                cancelled = await administration.cancel_all(CancelRequest(names, answers.reason), actor=actor)
                return "; ".join(note for each in cancelled[:_NAMED] for note in each.notes)
            case HostVerb.INSPECT:
                for name in names:
                    await once.inspect(name, actor=actor)
                return f"{listed(names)}: the next network boot reports the hardware"
            case HostVerb.RESCUE:
                await once.rescue(RescueRequest(names, answers.medium or None), actor=actor)
                return f"{listed(names)}: the next network boot starts the rescue mode"
            case HostVerb.CANCEL_RESCUE:
                withdrawn = await once.cancel_rescue(names, actor=actor)
                return "; ".join(each.note for each in withdrawn[:_NAMED])
            case HostVerb.RETIRE | HostVerb.WIPE | HostVerb.REMOVE:
                return await self._remove(verb, names, answers, actor=actor)

    async def _remove(self, verb: HostVerb, names: Sequence[HostName], answers: Answers, *, actor: Actor) -> str:
        changes = self.administration.host_changes
        work = changes.remove if verb is HostVerb.REMOVE else changes.retire
        notes: list[str] = []
        for name in names:
            wipe = name if verb is HostVerb.WIPE else ""
            changed: HostsChanged = await work(
                RemovalRequest(name, answers.reason, answers.is_forced, wipe), actor=actor
            )
            notes += changed.notes
        done = "removed" if verb is HostVerb.REMOVE else "retired"
        return "; ".join([f"{listed(names)} {done}", *dict.fromkeys(notes)])


def listed(names: Sequence[str]) -> str:
    """Name hosts in a sentence."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
