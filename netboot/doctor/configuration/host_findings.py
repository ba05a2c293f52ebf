"""Finds hosts with an address outside the LAN or of this appliance, or example values; and the address of the API."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Final

from netboot.doctor.configuration.check_report import CheckReport
from netboot.doctor.configuration.listening_checks import Links
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.registry.load import Configuration

_DOCUMENTATION: Final = tuple(map(IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))  # RFC 5737
_EXAMPLE_MACS: Final = frozenset(map(Mac, ("52:54:00:aa:bb:01", "52:54:00:aa:bb:11", "52:54:00:aa:bb:12")))
_DISK_BY_ORDER: Final = re.compile(r"/dev/(sd[a-z]+|nvme\d+n\d+)")
_EXAMPLE_KEY: Final = re.compile(r"AAAA\S*?(FAKE){2,}")


def check_hosts(configuration: Configuration, links: Links) -> CheckReport:
    """Compare hosts and cluster with this appliance, its DHCP pool and the shipped example."""
    report = CheckReport()
    interfaces = configuration.settings.network.interfaces
    wanted = {interface.name for interface in interfaces}
    ours = {each.address.ip: name for name, link in links.items() for each in link.addresses}
    lans = [each.address.network for name in wanted & links.keys() for each in links[name].addresses]
    advertised = [IPv4Network(interface.advertise) for interface in interfaces if interface.advertise is not None]
    given = {allocation.address for allocation in configuration.allocations}
    for host in configuration.hosts:
        report.problems.extend(_of_this_appliance(host, ours, given))
        if not advertised:  # else machines are behind a router, in an unknown network
            report.warnings.extend(_outside(host, lans))
        report.warnings.extend(_of_the_example(host, [*lans, *advertised]))
    report.warnings.extend(_disks_by_order(configuration.hosts))
    report.problems.extend(_address_of_the_api(configuration, ours))
    return report


def _of_this_appliance(
    host: Host, ours: Mapping[IPv4Address, str], given: Collection[IPv4Address | IPv6Address]
) -> Iterator[str]:
    for address in sorted(host.addresses & ours.keys()):
        cure = "give the host another"
        if address in given:
            cure = f"write address_pools.{host.network.pool}.addresses without it"
        yield _at(host, f".network.address: {address} is this appliance's own, on {ours[address]}; {cure}")


def _address_of_the_api(configuration: Configuration, ours: Mapping[IPv4Address, str]) -> Iterator[str]:
    """Find an API of the cluster that has an address of this appliance or of its DHCP pool."""
    for api in configuration.hosts.cluster.addresses:
        address = api.address
        if not isinstance(address, IPv4Address):
            continue
        if address in ours:
            what = f"the API of the cluster has {address}, which is this appliance's own, on {ours[address]}"
            yield f"{what}; {api.cure}"
        for pool in configuration.settings.dhcp.pool:
            if pool.range.first <= address <= pool.range.last:
                what = f"the API of the cluster has {address}, which dhcp.pool leases ({pool.range})"
                yield f"{what}; take it out of the pool"


def _at(host: Host, what: str) -> str:
    return f"{host.declared_at}: hosts.{host.name}{what}"


def _outside(host: Host, lans: list[IPv4Network]) -> Iterator[str]:
    for address in sorted(host.addresses) if host.network.vlan is None else ():
        if lans and not any(address in lan for lan in lans):
            known = ", ".join(sorted(map(str, lans)))
            what = f"{address} is outside {known}, the boot LAN; correct it, unless the host boots behind a relay"
            yield _at(host, f".network.address: {what}")


def _disks_by_order(hosts: Iterable[Host]) -> Iterator[str]:
    """List the disks whose name depends on the order in which the kernel finds them, each once."""
    found: dict[str, list[Host]] = {}
    for host in hosts:
        if host.disk is not None and _DISK_BY_ORDER.fullmatch(str(host.disk)):
            found.setdefault(str(host.disk), []).append(host)
    for disk, (first, *others) in found.items():
        yield _at(
            first,
            f".disk: {disk} can name another disk at the next boot of a machine that has several, and that one would "
            f"be wiped; write its path below /dev/disk/by-path or /dev/disk/by-id{and_others(others)}",
        )


def and_others(hosts: Sequence[Host]) -> str:
    """Name further hosts with the same finding at the end of its message."""
    return f" (also {', '.join(host.name for host in hosts[:5])}{', …' if len(hosts) > 5 else ''})" if hosts else ""


def _of_the_example(host: Host, lans: list[IPv4Network]) -> Iterator[str]:
    if any(_EXAMPLE_KEY.search(key) for key in host.ssh_keys):
        yield _at(host, ".ssh_keys: this is the key of the example, and nobody can log in with it; write your own")
    examples = [each for each in _DOCUMENTATION if not any(map(each.overlaps, lans))]  # the others: the LAN of a test
    if len(examples) == len(_DOCUMENTATION):
        for mac in sorted(_EXAMPLE_MACS.intersection(host.macs)):
            yield _at(host, f".mac: {mac} is a MAC of the example; write the one of the machine's card")
    network = host.network
    shown = [("address", network.address and network.address.ip), ("gateway", network.gateway)]
    shown += [("nameservers", server) for server in network.nameservers if isinstance(server, IPv4Address)]
    for key, address in shown:
        if address is not None and any(address in each for each in examples):
            yield _at(host, f".network.{key}: {address} is an address for examples (RFC 5737); write one of your LAN")
