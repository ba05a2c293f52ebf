"""Finds accepted values with which an install can fail or a node can lack something, each once for all hosts."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from netboot.boot.documents.node_update_rules import NodeUpdateRules
from netboot.boot.documents.role_files import RoleFiles
from netboot.doctor.configuration.host_findings import and_others
from netboot.model.host.host import Host
from netboot.model.host.network import DhcpMode
from netboot.settings.settings import Settings

# iPXE searches a BIOS kernel's whole command line for these two (bzimage_parse_cmdline), also inside of other words.
_MISREAD: Final = re.compile(r".+?(mem|vga)=.*")

_SOON: Final = timedelta(days=30)


def host_warnings(hosts: Iterable[Host], settings: Settings) -> list[str]:
    """List the warnings, each at the first host that it concerns."""
    leases_ntp = settings.dhcp.mode is DhcpMode.RESERVATION and bool(settings.dhcp.ntp_servers)
    return _at_first_hosts((host, found) for host in hosts for found in _warnings(host, leases_ntp=leases_ntp))


def anchor_warnings(hosts: Iterable[Host], now: datetime) -> list[str]:
    """List the CA anchors that have ended or will within 30 days, and those that are of no CA."""
    return _at_first_hosts((host, found) for host in hosts for found in _anchor_warnings(host, now))


def embedded_warnings(hosts: Iterable[Host]) -> list[str]:
    """List the Ignition files from which a first boot fetches more, although it needs no network otherwise."""
    files = RoleFiles()
    return _at_first_hosts((host, found) for host in hosts for found in _fetches(host, files))


def update_warnings(hosts: Iterable[Host], updates: NodeUpdateRules) -> list[str]:
    """List the hosts whose nodes do not get their updates from here although `updates.registry` is true."""
    return [f"{host.declared_at}: {problem}" for host in hosts if (problem := updates.problem(host)) is not None]


def _at_first_hosts(warnings: Iterable[tuple[Host, tuple[str, str]]]) -> list[str]:
    found: dict[tuple[str, str], list[Host]] = {}
    for host, warning in warnings:
        found.setdefault(warning, []).append(host)
    return [
        f"{first.declared_at}: hosts.{first.name}{key}: {what}{and_others(others)}"
        for (key, what), (first, *others) in found.items()
    ]


def _warnings(host: Host, *, leases_ntp: bool) -> Iterator[tuple[str, str]]:
    """Yield the key of each value, and the warning with its cure."""
    network = host.network
    if network.address is not None and network.gateway is None:
        cure = "set network.gateway, unless the node needs nothing outside"
        yield ".network", f"a static address without gateway reaches only its own network; {cure}"
    if not host.ntp and not leases_ntp:
        cure = "set defaults.ntp to the time servers of your LAN"
        yield "", f"no ntp: a node whose clock is wrong cannot join the cluster; {cure}"
    for argument in host.kernel_arguments:
        if found := _MISREAD.fullmatch(argument):
            what = f"on a BIOS machine, older iPXE reads {found[1]}= in {argument} as the kernel's own {found[1]}="
            yield ".kernel_arguments", f"{what}; leave it out, unless the machine boots by UEFI"


def _anchor_warnings(host: Host, now: datetime) -> Iterator[tuple[str, str]]:
    for anchor in host.ca_anchors:
        if anchor.ends_at is None:
            cure = "name the certificate of the CA that signed it"
            yield ".ca_anchors", f"{anchor.path} has no certificate of a CA, so it verifies no other; {cure}"
        elif anchor.ends_at - now < _SOON:
            ends = "ended" if anchor.ends_at <= now else "ends"
            cure = "replace it, then netboot reload"
            yield ".ca_anchors", f"a CA certificate of {anchor.path} {ends} on {anchor.ends_at:%Y-%m-%d}; {cure}"


def _fetches(host: Host, files: RoleFiles) -> Iterator[tuple[str, str]]:
    try:
        servers = files.read(host.ignition).file.fetched_from if host.ignition else ()
    except OSError:  # the readiness of the host has the reason
        return
    if servers:
        what = f"install.ignition is embed, and {host.ignition} fetches from {', '.join(servers)} at the first boot"
        yield ".ignition", f"{what}; put the contents into the file, unless that server is always reached"
