"""Which hosts, machines and installs a list has: the queries of the lists, and what they select. Pure."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, StringConstraints

from netboot.admin.api.paging import PageQuery
from netboot.model.host.host import Host
from netboot.model.install.install import InstallState
from netboot.operate.host_status import DiscoveredMachine, HostStatus, InstallStatus
from netboot.operate.selection import HostSelection

Pair = Annotated[str, StringConstraints(pattern="^[^=]+=")]
State = Annotated[InstallState | None, Field(description=f"a state of an install: {', '.join(InstallState)}")]
Armed = Annotated[bool | None, Field(description="0 or 1: whether it is armed")]


class HostsQuery(PageQuery):
    """Which hosts are listed; of several labels all must hold. The key of a page is the name."""

    role: Annotated[str | None, Field(description="the role of the hosts")] = None
    label: list[Pair] = Field(default_factory=list, description="KEY=VALUE")
    group: Annotated[str | None, Field(description="a group of the hosts")] = None
    state: State = None
    armed: Armed = None
    q: Annotated[str, Field(description="a text in the name, a MAC, an address, a label or a group")] = ""

    @property
    def selection(self) -> HostSelection:
        """Return the selection by role and labels."""
        pairs = [text.partition("=") for text in self.label]
        return HostSelection(self.role, {key: text for key, _, text in pairs})

    def selects(self, found: HostStatus) -> bool:
        """Return whether a host of the selection is listed."""
        host, install = found.host, found.install.install
        return (
            (self.group is None or self.group in host.groups)
            and self.state in (None, install.state)
            and self.armed in (None, install.is_armed)
            and (not self.q or _has(self.q, _texts(host)))
        )


class MachinesQuery(PageQuery):
    """Which unregistered machines are listed. The key of a page is the MAC."""

    inspected: Annotated[bool | None, Field(description="0 or 1: whether it reported its hardware")] = None
    q: Annotated[str, Field(description="a text in the MAC, an address, the UUID, or what its iPXE reported")] = ""

    def selects(self, found: DiscoveredMachine) -> bool:
        """Return whether a machine is listed."""
        machine, inspection = found.machine, found.inspection
        is_inspected = inspection is not None and inspection.hardware is not None
        texts = [machine.mac, machine.uuid or "", *map(str, machine.addresses), *machine.facts.values()]
        return self.inspected in (None, is_inspected) and (not self.q or _has(self.q, texts))


class InstallsQuery(PageQuery):
    """Which installs are listed. The key of a page is the host."""

    state: State = None
    armed: Armed = None
    declared: Annotated[bool | None, Field(description="0 or 1: whether a file declares the host")] = None

    def selects(self, found: InstallStatus) -> bool:
        """Return whether an install is listed."""
        return (
            self.state in (None, found.install.state)
            and self.armed in (None, found.install.is_armed)
            and self.declared in (None, found.is_declared)
        )


def _texts(host: Host) -> list[str]:
    labels = [f"{key}={text}" for key, text in host.labels.items()]
    return [host.name, host.hostname or "", *host.macs, *map(str, host.addresses), *labels, *host.groups]


def _has(wanted: str, texts: Iterable[str]) -> bool:
    return any(wanted.lower() in text.lower() for text in texts)
