"""What reads files: a simulated machine, or this computer itself when the doctor reads its own files."""

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol

from netboot.probe.machine import Behaviour
from netboot.probe.machine_timeline import MachineTimeline

UNDISTURBED = Behaviour()


class FileReader(Protocol):
    """Reads from `address`; None: the kernel chooses one."""

    @property
    def address(self) -> IPv4Address | None: ...
    @property
    def behaviour(self) -> Behaviour: ...
    @property
    def timeline(self) -> MachineTimeline: ...


@dataclass(frozen=True, slots=True)
class LocalReader:
    """This computer, from one of its addresses."""

    address: IPv4Address | None
    timeline: MachineTimeline
    behaviour: Behaviour = UNDISTURBED
