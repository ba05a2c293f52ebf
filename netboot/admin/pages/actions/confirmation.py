"""What the confirmation of an action shows before it is requested: the hosts, every reason and warning. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from netboot.admin.pages.actions.action_urls import LABELS, hosts_url
from netboot.model.host.host import Host
from netboot.model.install.install import Install, InstallState
from netboot.operate.actions.host_verbs import POWER_ACTIONS, HostAction, HostVerb

_CONSEQUENCES: Final[Mapping[HostVerb, str]] = {
    HostVerb.ARM: "The next network boot wipes the disk and installs the release. It is permitted once.",
    HostVerb.CONFIRM: "The install goes on by itself within seconds, and wipes the disk. What the machine shows is "
    "recorded as that of the host.",
    HostVerb.CANCEL: "The machine boots its own disk. An installer that was allowed to wipe the disk continues.",
    HostVerb.INSPECT: "The next network boot reports the hardware. No disk is written.",
    HostVerb.RESCUE: "The next network boot starts the rescue mode of the boot medium, once.",
    HostVerb.CANCEL_RESCUE: "The machine boots no rescue mode.",
    HostVerb.RETIRE: "The arming ends, every token is invalid, and the file of the host is deleted. "
    "Addresses of pools are released. The disk is not changed.",
    HostVerb.WIPE: "The host is retired, and the next network boot of its machine erases the disk.",
    HostVerb.REMOVE: "The arming ends, and the file of the host is deleted. Addresses of pools are released. "
    "The disk is not changed.",
    HostVerb.POWER_ON: "The BMC switches the machine on. It boots in its boot order.",
    HostVerb.POWER_OFF: "The BMC switches the machine off at once. Its operating system is not shut down.",
    HostVerb.POWER_CYCLE: "The BMC restarts the machine at once, or switches it on. Its operating system is not shut "
    "down.",
    HostVerb.POWER_PXE: "The machine is restarted at once, or switched on, and boots from the network once. A host "
    "that is armed is installed; any other is led to its own disk.",
}
LONGEST_URL: Final = 6_000  # bytes; a listener refuses 8 kB
DANGEROUS: Final = frozenset(
    {HostVerb.ARM, HostVerb.CONFIRM, HostVerb.RETIRE, HostVerb.WIPE, HostVerb.REMOVE, *POWER_ACTIONS}
)
_OF_ANY: Final = frozenset(
    {HostVerb.CONFIRM, HostVerb.CANCEL, HostVerb.CANCEL_RESCUE}
)  # hosts with nothing to end are left out
_USED: Final = frozenset({InstallState.INSTALLING, InstallState.INSTALLED, InstallState.READY, InstallState.FAILED})


@dataclass(frozen=True, slots=True)
class ConfirmedHost:
    """A host as its action would find it."""

    host: Host
    install: Install
    action: HostAction

    @property
    def may_hold_data(self) -> bool:
        """Whether an install wrote its disk before."""
        return self.install.state in _USED

    @property
    def is_refused(self) -> bool:
        return bool(self.action.reasons)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the operator filled in."""

    reason: str = ""
    attempts: str = ""
    medium: str = ""
    is_forced: bool = False
    confirmed: str = ""
    seen: str = ""


NO_ANSWERS: Final = Answers()


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The page. `faults`: why the last request was refused; `back`: where it leads if it is cancelled."""

    verb: HostVerb
    hosts: Sequence[ConfirmedHost]
    back: str
    answers: Answers = NO_ANSWERS
    faults: Sequence[str] = field(default=())
    denied: str | None = None  # why this operator may not change anything
    media: Sequence[str] = ()  # the boot media that a rescue can have

    @property
    def what(self) -> str:
        """The hosts in a sentence."""
        return self.hosts[0].host.name if len(self.hosts) == 1 else f"{len(self.hosts)} hosts"

    @property
    def title(self) -> str:
        match self.verb:
            case HostVerb.CONFIRM:
                return f"Confirm the machine of {self.what}"
            case HostVerb.CANCEL:
                return f"Cancel the arming of {self.what}"
            case HostVerb.CANCEL_RESCUE:
                return f"Cancel the rescue of {self.what}"
            case HostVerb.POWER_PXE:
                return f"Boot {self.what} from the network"
            case HostVerb.WIPE:
                return f"Retire {self.what} and wipe the disk"
            case _:
                return f"{LABELS[self.verb]} {self.what}"

    @property
    def consequence(self) -> str:
        return _CONSEQUENCES[self.verb]

    @property
    def is_dangerous(self) -> bool:
        return self.verb in DANGEROUS

    @property
    def typed(self) -> str | None:
        """What the operator types to confirm: a disk that may hold data would be wiped; None: nothing."""
        wipes = self.verb is HostVerb.WIPE or (
            self.verb is HostVerb.ARM and any(each.may_hold_data for each in self.hosts)
        )
        return self.what if wipes else None

    @property
    def refused(self) -> Sequence[ConfirmedHost]:
        return [each for each in self.hosts if each.is_refused]

    @property
    def possible(self) -> Sequence[ConfirmedHost]:
        return [each for each in self.hosts if not each.is_refused]

    @property
    def is_forcible(self) -> bool:
        """Whether every refusal can be overridden."""
        return bool(self.refused) and all(each.action.is_forcible for each in self.refused)

    @property
    def can_be_requested(self) -> bool:
        """Whether the button does anything: for all hosts, or for an end for at least one."""
        if self.denied is not None:
            return False
        if self.verb in _OF_ANY:
            return bool(self.possible)
        return not self.refused or self.is_forcible

    @property
    def is_granted(self) -> bool:
        """Whether it may be requested as it was filled in: refusals that can be overridden are."""
        return self.can_be_requested and (not self.refused or self.verb in _OF_ANY or self.answers.is_forced)

    @property
    def granted(self) -> Sequence[ConfirmedHost]:
        """The hosts for which it is requested."""
        return self.possible if self.verb in _OF_ANY else self.hosts

    @property
    def without_refused(self) -> str | None:
        """The URL of the same for the hosts that are not refused; None: for all or none of them, or for very many."""
        if self.verb in _OF_ANY or not self.refused or not self.possible:
            return None
        url = hosts_url([each.host.name for each in self.possible], self.verb, back=self.back)
        return url if len(url) <= LONGEST_URL else None

    @property
    def warnings(self) -> Sequence[str]:
        """What an operator needs to read before, once each."""
        return list(dict.fromkeys(warning for each in self.hosts for warning in each.action.warnings))

    @property
    def seen(self) -> str:
        """A digest of what would be wiped, so that a host that changed meanwhile is confirmed anew.

        Of a dangerous action it has every write of the install and the reasons against it, so that a form that is sent
        again, by a reload or from an old window, does nothing a second time and overrides no reason that was not shown.
        """
        return hashlib.sha256(repr([self._shown(each) for each in self.hosts]).encode()).hexdigest()[:16]

    def _shown(self, each: ConfirmedHost) -> Sequence[str]:
        host = each.host
        shown = [host.name, *sorted(host.macs), str(host.disk), str(host.release_members), str(host.release)]
        if not self.is_dangerous:
            return shown
        return [*shown, str(each.install.version), each.action.after, *each.action.reasons]
