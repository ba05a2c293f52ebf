"""An action that an operator can request for a host, and why it is refused now. Loads no store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from netboot.model.host.host import HostName
from netboot.model.power.power import PowerAction


class HostVerb(StrEnum):
    """An action on a host, as the commands name it."""

    ARM = "arm"
    CONFIRM = "confirm"  # the machine of a held install
    CANCEL = "cancel"
    INSPECT = "inspect"
    RESCUE = "rescue"
    CANCEL_RESCUE = "cancel-rescue"
    RETIRE = "retire"
    WIPE = "wipe"  # the host is retired, and its disk is wiped
    REMOVE = "remove"
    POWER_ON = "power-on"
    POWER_OFF = "power-off"
    POWER_CYCLE = "power-cycle"
    POWER_PXE = "power-pxe"  # it boots from the network once, and is restarted or switched on


POWER_ACTIONS: Final = {HostVerb(f"power-{action}"): action for action in PowerAction}
REMOVALS: Final = frozenset({HostVerb.RETIRE, HostVerb.WIPE, HostVerb.REMOVE})


@dataclass(frozen=True, slots=True)
class HostAction:
    """One action on one host. `reasons`: every sentence with which it is refused now; empty: it can be requested."""

    host: HostName
    verb: HostVerb
    reasons: Sequence[str] = ()
    warnings: Sequence[str] = ()  # what an operator needs to read before
    is_forcible: bool = False  # it is refused, and `force` overrides every reason
    after: str = field(default="", repr=False)  # the id of the power action that was requested last

    @property
    def refusal(self) -> str | None:
        """Every reason, one a line; None: it is not refused."""
        return "\n".join(self.reasons) or None
