"""Computes why a host cannot be installed now, and the warnings that an operator must read before arming it.

The only place that computes this: `check`, `install arm`, the API and the commands without a daemon use it, so that all
of them print the same sentences. Reads files through `boot.documents`; changes no state.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from netboot.boot.documents.documents import Documents
from netboot.boot.firmware.local_boot_methods import misfit
from netboot.boot.firmware.reply_variants import choices_for
from netboot.content.bootfiles.directories import BootFiles
from netboot.errors import ContentError, Problem
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Cpu, Machine, Stage, arch_named
from netboot.model.boot.offer import IgnoreReason, Policy, UnknownHosts
from netboot.model.host.disk_rule import disk_mismatch
from netboot.model.host.hardware import Hardware
from netboot.model.host.host import Cluster, Host
from netboot.model.host.network import DhcpMode
from netboot.model.install.install import Install, InstallState

if TYPE_CHECKING:
    from netboot.boot.sessions.machines_seen import SeenMachines  # loads the database

NO_INTERFACE: Final = "network.interfaces names none, so no machine is answered; name the boot LAN's interface"
_ARCHITECTURE_OF_CPU: Final = {Cpu.X86_BIOS: "x86_64", Cpu.X64: "x86_64", Cpu.ARM64: "aarch64"}
_UEFI_CPUS: Final = (Cpu.X64, Cpu.ARM64)  # what OCK runs on


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The settings that affect readiness. `faults` are the faults of the files that exclude hosts or loaders."""

    dhcp_mode: DhcpMode = DhcpMode.PROXY
    names_interfaces: bool = True
    leases_a_pool: bool = True  # `dhcp.pool` has addresses
    faults: tuple[Problem, ...] = ()


class Readiness:
    """Computes the reasons of one configuration. Lives as long as a configuration."""

    def __init__(self, documents: Documents, policy: Policy, *, bootfiles: BootFiles, server: ServerFacts) -> None:
        self._documents = documents
        self._policy = policy
        self._bootfiles = bootfiles
        self._server = server

    async def reasons(
        self,
        host: Host,
        *,
        machines: Sequence[Machine] = (),
        hardware: Hardware | None = None,
        joins_later: bool = False,
    ) -> list[str]:
        """List why this host could not be installed, each with its cure.

        `machines` is the stored state of its cards, and `hardware` what its last inspection reported. `joins_later`: a
        rollout would let it join later, so that its role's file may be missing.
        """
        documents = [str(problem) for problem in await self._documents.problems(host, joins_later=joins_later)]
        found = [*self._declared(host), *documents, *self._loader(host, machines), *self._announcement(host)]
        found += await self._architecture(host, machines)
        found += _inspected_disk(host, hardware)
        return list(dict.fromkeys(found))

    async def inspection(self, host: Host | None) -> tuple[str | None, list[str]]:
        """Return the medium that inspects a host, or an unregistered machine, and why it cannot, each with its cure."""
        medium = self._policy.inspect_media or (host.boot_media if host else None)
        found = await self._medium_reasons(medium)
        if host is None and self._policy.unknown is UnknownHosts.IGNORE:
            found.append("unregistered machines get no reply; set hosts.unknown: wait, or inspect")
        return medium, found

    async def rescue(self, host: Host, wanted: str | None) -> tuple[str | None, list[str]]:
        """Return the medium whose rescue mode a host boots, `wanted` if it is given, and why it cannot."""
        medium = wanted or host.boot_media or self._policy.inspect_media
        return medium, await self._medium_reasons(medium)

    async def _medium_reasons(self, medium: str | None) -> list[str]:
        if medium is None:
            return ["no boot medium is named for it; set hosts.inspect_media"]
        problem = await self._documents.content.medium_problem(medium)
        return [] if problem is None else [str(problem)]

    def warnings(
        self, host: Host, install: Install, cluster: Cluster, *, machines: Sequence[Machine] = ()
    ) -> list[str]:
        """List what does not prevent an install of this host, but must be read by the operator before it."""
        found = firmware_warnings(host, machines)
        if install.arming is not None:
            found.append(
                f"{host.name} was armed already at {install.arming.at:%Y-%m-%d %H:%M} ({install.arming.reason}); "
                "the new arming replaces that one"
            )
        if install.state in (InstallState.INSTALLED, InstallState.READY):
            found.append(f"{host.name} is {install.state}: a node that may be running; its next install wipes the disk")
        if install.state is InstallState.INSTALLING:
            found.append(f"{host.name} is installing: an installer that was allowed to wipe the disk may still run")
        if cluster.init == host.name:
            found.append(f"{host.name} is cluster.init: its installed system starts a new cluster {cluster.name}")
        clients = [client for machine in machines if (client := client_of(machine)) is not None]
        found += [text for client in clients if (text := misfit(client, host, self._policy)) is not None]
        if self._server.dhcp_mode is DhcpMode.LISTEN:
            found.append(
                "dhcp.mode is listen, so no machine is offered a boot loader; "
                "set dhcp.mode: proxy, or let the LAN's DHCP server name this server"
            )
        if not self._server.names_interfaces:
            found.append(NO_INTERFACE)
        return found

    async def update_warnings(self, host: Host) -> list[str]:
        """List why its node does not get its updates from here although the settings say so."""
        problem = await asyncio.to_thread(self._documents.updates.problem, host)
        return [] if problem is None else [problem]

    def _declared(self, host: Host) -> list[str]:
        own = f"hosts.{host.name}"
        return [
            str(fault)
            for fault in self._server.faults
            if fault.where == own or fault.where.startswith((f"{own}.", "bootfiles."))
        ]

    async def _architecture(self, host: Host, machines: Sequence[Machine]) -> list[str]:
        """Return why the CPU of the machine, as it booted, cannot run its medium or release."""
        clients = [client for machine in machines if (client := client_of(machine)) is not None]
        known = {_ARCHITECTURE_OF_CPU[client.cpu] for client in clients if client.cpu in _ARCHITECTURE_OF_CPU}
        if not known:
            return []
        parts = await self._documents.content.architectures(host)
        return [
            f"{host.name} boots as {' and '.join(sorted(known))}, and its {part} is for {architecture}; "
            f"correct hosts.{host.name}.{key}"
            for (key, part), architecture in parts.items()
            if architecture not in known
        ]

    def _loader(self, host: Host, machines: Sequence[Machine]) -> list[str]:
        if self._server.dhcp_mode is DhcpMode.OFF:
            return []  # another server names the boot loader
        clients = [client for machine in machines if (client := client_of(machine)) is not None]
        if clients:
            return [reason for client in clients if (reason := self._loader_reason(host, client))]
        return [] if host.loader else missing_uefi_loader(self._policy, self._bootfiles)

    def _loader_reason(self, host: Host, client: BootClient) -> str | None:
        match choices_for(client, host, self._policy):
            case IgnoreReason.LOADER_FOR_ANOTHER_CPU:
                built_for = self._policy.cpu_of(host.loader or "")
                return (
                    f"{host.name} boots as {client.cpu}, and its boot loader {host.loader} is built for {built_for}; "
                    f"correct hosts.{host.name}.loader, or remove it"
                )
            case IgnoreReason.NO_LOADER_FOR_ARCH | IgnoreReason.UNKNOWN_ARCHITECTURE | IgnoreReason.UNKNOWN_HOST:
                return f"{host.name} gets no boot loader: {self._missing(client)}"
            case _:
                return None

    def _missing(self, client: BootClient) -> str:
        try:
            name = self._bootfiles.loader(client.protocol, client.arch)
        except ContentError as error:
            return str(error)
        return f"{name} was added after the configuration was read; systemctl reload netboot"

    def _announcement(self, host: Host) -> list[str]:
        """Return why a host never gets an address, or is never announced, so that its script waits; empty: neither."""
        if host.network.boot_address is not None:
            return []
        if self._server.dhcp_mode is DhcpMode.RESERVATION and not self._server.leases_a_pool:
            alone = ", and IPv6 alone is not possible" if host.network.address6 is not None else ""
            return [
                f"{host.name} gets no IPv4 address: dhcp.mode is reservation, dhcp.pool is empty, and the host has no "
                f"static address on the boot LAN{alone}; set hosts.{host.name}.network.address or network.pool, or "
                "dhcp.pool"
            ]
        if self._server.dhcp_mode is not DhcpMode.OFF:
            return []
        return [
            f"{host.name} cannot be identified: dhcp.mode is off, so its DHCP requests are not seen, and it has no "
            f"registered address; set hosts.{host.name}.network.address to the address that the LAN's DHCP server "
            "gives it, or set dhcp.mode: proxy"
        ]


def firmware_warnings(host: Host, machines: Sequence[Machine]) -> list[str]:
    """Return the warning for a host that booted as BIOS last; `machines` are the stored states of its cards."""
    booted = [machine for machine in machines if machine.arch is not None]
    last = max(booted, key=lambda machine: machine.last_seen, default=None)
    if last is None or arch_named(last.arch or "") != Arch.X86_BIOS:
        return []
    return [
        f"{host.name} booted as BIOS at {last.last_seen:%Y-%m-%d %H:%M} UTC, and OCK starts by UEFI only; "
        "set the machine's firmware to UEFI"
    ]


def warnings_of_seen(hosts: Iterable[Host], seen: "SeenMachines") -> list[str]:
    """List the warnings of all hosts whose machines were seen."""
    booted = ((host, [found.machine for mac in host.macs if (found := seen.get(mac))]) for host in hosts)
    return [warning for host, machines in booted for warning in firmware_warnings(host, machines)]


def missing_uefi_loader(policy: Policy, bootfiles: BootFiles) -> list[str]:
    """Return the problem of UEFI machines, which OCK needs, without a boot loader; empty: there is one."""
    rules = {(rule.protocol or BootProtocol.PXE, rule.required_cpu) for rule in policy.rules}
    if any((BootProtocol.PXE, cpu) in (policy.loaders.keys() | rules) for cpu in _UEFI_CPUS):
        return []
    directories = ", ".join(map(str, bootfiles.directories)) or "no directory"
    return [f"no UEFI loader below {directories}; install the package ipxe, or set bootfiles.directories"]


def _inspected_disk(host: Host, hardware: Hardware | None) -> list[str]:
    """Return why the disk of a host is not exactly one of those that its inspection found; empty: it is."""
    if hardware is None or host.disk is None:
        return []
    mismatch = disk_mismatch(host.name, host.disk, hardware.disks)
    if mismatch is None:
        return []
    return [f"{mismatch}; correct it, or inspect the machine again: netboot host inspect {host.name}"]


def client_of(machine: Machine) -> BootClient | None:
    """Make the client that this machine was when it was last seen; None if its firmware is not on record."""
    arch = arch_named(machine.arch or "")
    if arch is None:
        return None
    vendor_class = machine.vendor_class or ""
    protocol = BootProtocol.HTTP if vendor_class.startswith("HTTPClient") else BootProtocol.PXE
    return BootClient(machine.mac, arch, protocol, Stage.FIRMWARE, vendor_class)
