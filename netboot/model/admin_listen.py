"""Where the administration listens: the endpoints of `admin.listen`, applied to the addresses that this appliance has.

Pure. On an interface on which machines boot, it listens only if an endpoint has that interface's name; beyond loopback
it listens only with TLS.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import urlsplit

NO_CERTIFICATE: Final = (
    "netboot ca init and netboot ca issue make a certificate; set admin.tls, or name only loopback addresses"
)
SEE_CERTIFICATE: Final = "see admin.tls"  # a certificate is named and cannot be served; another problem has the reason

IpAddress = IPv4Address | IPv6Address
LocalAddresses = Mapping[str, Sequence[IpAddress]]  # of each interface of this appliance, by its name


@dataclass(frozen=True, slots=True)
class AddressEndpoint:
    """One address with a port."""

    address: IpAddress
    port: int

    @property
    def needs_tls(self) -> bool:
        """Requests can come from another computer."""
        return not self.address.is_loopback

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class InterfaceEndpoint:
    """Every address that an interface has at the moment, with a port."""

    interface: str
    port: int

    def __str__(self) -> str:
        return f"{self.interface}:{self.port}"


AdminEndpoint = AddressEndpoint | InterfaceEndpoint


@dataclass(frozen=True, slots=True)
class PlannedListener:
    """The addresses on which one endpoint is served now; `problem`: why some or all of it is not."""

    endpoint: AdminEndpoint
    addresses: tuple[AddressEndpoint, ...] = ()
    problem: str | None = None


def plan_listeners(
    endpoints: Sequence[AdminEndpoint],
    here: LocalAddresses,
    *,
    boot_interfaces: Collection[str],
    without_tls: str | None,
) -> list[PlannedListener]:
    """Decide for each endpoint where it is served. `without_tls`: why no certificate is in force; None: one is."""
    closed = closed_interfaces(endpoints, boot_interfaces)
    planned = [
        _planned_address(each, here, closed) if isinstance(each, AddressEndpoint) else _planned_interface(each, here)
        for each in endpoints
    ]
    return planned if without_tls is None else [_only_loopback(each, without_tls) for each in planned]


def closed_interfaces(endpoints: Sequence[AdminEndpoint], boot_interfaces: Collection[str]) -> frozenset[str]:
    """Return the interfaces on which machines boot, without those that an endpoint names."""
    named = {each.interface for each in endpoints if isinstance(each, InterfaceEndpoint)}
    return frozenset(boot_interfaces) - named


def expected_names(endpoints: Sequence[AdminEndpoint], here: LocalAddresses, *, public_url: str | None) -> list[str]:
    """List the host of `admin.public_url`, and the addresses beyond loopback on which the administration listens.

    The certificate must name them; beside a public URL, the addresses of an interface need not be in it.
    """
    public = host_of(public_url)
    found = [public] if public is not None else []
    for endpoint in endpoints:
        if isinstance(endpoint, AddressEndpoint):
            addresses: Sequence[IpAddress] = [endpoint.address]
        else:
            addresses = here.get(endpoint.interface, ()) if public is None else ()
        found += [str(address) for address in addresses if not address.is_loopback]
    return list(dict.fromkeys(found))


def host_of(public_url: str | None) -> str | None:
    """Return the host of `admin.public_url`: a name in lower case, or an address without brackets."""
    return urlsplit(public_url).hostname if public_url is not None else None


def _planned_address(endpoint: AddressEndpoint, here: LocalAddresses, closed: Collection[str]) -> PlannedListener:
    """Refuse an address of an interface on which machines boot; loopback is reached by no machine."""
    owners = (name for name, addresses in here.items() if endpoint.address in addresses)
    owner = next((name for name in owners if name in closed), None)
    if owner is None or not endpoint.needs_tls:
        return PlannedListener(endpoint, (endpoint,))
    return PlannedListener(
        endpoint,
        problem=f"admin.listen: {endpoint} is an address of {owner}, on which machines boot (network.interfaces); "
        f"write {owner}:{endpoint.port} if the administration shall listen there, or name another interface's address",
    )


def _planned_interface(endpoint: InterfaceEndpoint, here: LocalAddresses) -> PlannedListener:
    name = endpoint.interface
    if name not in here:
        what = f"this appliance has no interface {name}; it has {', '.join(sorted(here)) or 'none'}"
        return PlannedListener(endpoint, problem=f"admin.listen: {what}; correct the name, or add the interface")
    if not here[name]:
        what = f"{name} has no address; give it one, or name another interface"
        return PlannedListener(endpoint, problem=f"admin.listen: {what}")
    return PlannedListener(endpoint, tuple(AddressEndpoint(each, endpoint.port) for each in here[name]))


def _only_loopback(planned: PlannedListener, without_tls: str) -> PlannedListener:
    kept = tuple(each for each in planned.addresses if not each.needs_tls)
    if kept == planned.addresses:
        return planned
    problem = f"admin.listen: {planned.endpoint} is beyond loopback, where only TLS is served; {without_tls}"
    return PlannedListener(planned.endpoint, kept, problem)
