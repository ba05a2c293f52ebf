"""Finds out what the BMC of a host can do, and records its answers without secrets. Changes nothing."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.model.bmc.probe import Probe
from netboot.model.host.host import HostName, HostSet
from netboot.operate.audit import audited

if TYPE_CHECKING:
    from netboot.bmc.bmc_machine import BmcMachine
    from netboot.bmc.bmcs import Bmcs

PROBE_S: Final = 120.0  # it sends many requests


@dataclass(frozen=True, slots=True)
class ProbedBmc:
    """What was found. `recording`: the answers as a zip archive in Base64; None: they were not recorded."""

    host: HostName
    probe: Probe
    recording: str | None = None


@dataclass(frozen=True, slots=True)
class BmcProbes:
    """The use case."""

    bmcs: "Bmcs"
    hosts: Callable[[], HostSet]
    events: EventBus

    async def probe(self, name: str, *, is_recorded: bool, actor: Actor) -> ProbedBmc:
        """Examine the BMC of a host; raise UnknownHostError, BmcError."""
        with audited(self.events, "probe BMC", actor, subject=name):
            host = self.hosts().named(name)
            work: Callable[[BmcMachine], tuple[Probe, str | None]] = _recorded if is_recorded else _probed
            probe, recording = await self.bmcs.call(host, work, limit_s=PROBE_S)
        return ProbedBmc(host.name, probe, recording)


def _probed(machine: "BmcMachine") -> tuple[Probe, None]:
    return machine.probe(), None


def _recorded(machine: "BmcMachine") -> tuple[Probe, str]:
    from netboot.bmc.probing.recorder import Recorder

    recorder = Recorder()
    probe = machine.probe(recorder)
    return probe, b64encode(recorder.archive(probe)).decode()
