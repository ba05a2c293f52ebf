"""What a rollout does outside the store. Each is requested after the state that has it was stored.

An effect that is requested again is the same request: what does it must not do it twice.
"""

from dataclasses import dataclass
from datetime import datetime

from netboot.model.host.host import HostName
from netboot.model.rollout.command import CommandKind


@dataclass(frozen=True, slots=True)
class Arm:
    """Allow one install of a host. Requested again until it is known to be done."""

    host: HostName


@dataclass(frozen=True, slots=True)
class PowerOn:
    """Power the machine of a host on, to boot from the network. Requested again, as the same request."""

    host: HostName


@dataclass(frozen=True, slots=True)
class WithdrawPower:
    """Cancel the power-on of a host that is over, if its BMC was not sent it. Requested again until it is known."""

    host: HostName


@dataclass(frozen=True, slots=True)
class Disarm:
    """Cancel the arming of a host that failed or was cancelled. Requested again until it is known to be done.

    `armed_at`: only this one; an operator may have armed it anew.
    """

    host: HostName
    armed_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Run a command. Requested once."""

    kind: CommandKind


@dataclass(frozen=True, slots=True)
class CheckApi:
    """Find out whether the cluster's API answers. Requested again until it does."""


@dataclass(frozen=True, slots=True)
class CheckNode:
    """Find out whether a node is ready, by `cluster.commands.ready`. Requested again until it is."""

    host: HostName


Effect = Arm | PowerOn | WithdrawPower | Disarm | RunCommand | CheckApi | CheckNode
