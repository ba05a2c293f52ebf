"""Special boot LANs for the lab: no DHCP server but the appliance, two DHCP servers, a relay, a bad wire."""

from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Any, Final

from netboot.lab.lan.namespaces import (
    APPLIANCE,
    BRIDGE,
    DHCP_CARD,
    DHCP_SERVER,
    DHCP_SERVER_V6,
    Lan,
    advertising,
    dnsmasq_command,
    index_of,
    inside,
    lease_range,
    within,
)

Servers = Iterator[tuple[str, tuple[str, ...]]]

SECOND_DHCP_SERVER: Final = IPv4Interface("192.0.2.2/24")
ROUTER: Final = IPv4Interface("192.0.2.3/24")
FAR_ROUTER: Final = IPv4Interface("198.51.100.1/24")  # the same router, as the guests behind it see it
FAR_ROUTER_V6: Final = IPv6Interface("fd00:6e63::1/64")
FAR_BRIDGE: Final = "far0"  # the guests', where they are not on the appliance's
FAR_CARD: Final = "eth1"
BAD_WIRE: Final = ("bad0", "bad1")  # its two ends, for `bad_wire` to carry frames between


class LeasingLan(Lan):
    """A LAN on which the appliance alone leases; a dnsmasq advertises the IPv6 router."""

    dhcp_settings = f"{{mode: reservation, router: {DHCP_SERVER.ip}}}"

    def servers(self, work: Path) -> Servers:
        """Give the advertiser alone."""
        options = (f"--interface={DHCP_CARD}", *advertising(DHCP_SERVER_V6))
        yield "dhcp", inside(self.dhcp_namespace, *dnsmasq_command(work / "leases", *options))


class TwoServersLan(Lan):
    """A LAN with a second DHCP server that has addresses of its own."""

    def create(self) -> None:
        """Make the second server's namespace too."""
        super().create()
        self.join(f"{self.prefix}-dhcp2", DHCP_CARD, SECOND_DHCP_SERVER, bridge=BRIDGE)

    def servers(self, work: Path) -> Servers:
        """Give both servers."""
        yield from super().servers(work)
        options = (f"--interface={DHCP_CARD}", lease_range(DHCP_SERVER, 200, 249))
        yield "dhcp2", inside(f"{self.prefix}-dhcp2", *dnsmasq_command(work / "leases2", *options))


class RelayedLan(Lan):
    """A LAN whose guests are behind a router, on a network of their own, with a DHCP relay."""

    guests_bridge = FAR_BRIDGE

    def create(self) -> None:
        """Make the router's namespace and the routes too."""
        super().create()
        router = f"{self.prefix}-router"
        self.join(router, DHCP_CARD, ROUTER, bridge=BRIDGE)
        self.join(router, FAR_CARD, FAR_ROUTER, FAR_ROUTER_V6, bridge=FAR_BRIDGE)
        within(router, _forward)
        within(self.namespace, _route_to_far)
        within(self.dhcp_namespace, _route_to_far)

    def servers(self, work: Path) -> Servers:
        """Give the DHCP server, which leases to the guests behind the relay, too, and the relay."""
        for name, command in super().servers(work):
            yield name, (*command, lease_range(FAR_ROUTER, 100, 199))
        options = (
            f"--interface={FAR_CARD}",
            f"--interface={DHCP_CARD}",  # the servers' answers come in here
            *(f"--dhcp-relay={FAR_ROUTER.ip},{server.ip}" for server in (DHCP_SERVER, APPLIANCE)),
            *advertising(FAR_ROUTER_V6),
        )
        yield "relay", inside(f"{self.prefix}-router", *dnsmasq_command(work / "leases-relay", *options))


class BadWireLan(Lan):
    """A LAN whose guests are behind a wire that nothing crosses until a `BadWire` carries frames."""

    guests_bridge = FAR_BRIDGE

    def create(self) -> None:
        """Make the two ends of the wire too."""
        super().create()
        within(self.namespace, _make_bad_wire)


def _forward(_ip: Any) -> None:
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _route_to_far(ip: Any) -> None:
    ip.route("add", dst=str(FAR_ROUTER.network), gateway=str(ROUTER.ip))


def _make_bad_wire(ip: Any) -> None:
    for end, bridge in zip(BAD_WIRE, (FAR_BRIDGE, BRIDGE), strict=True):
        port = f"{end}-port"
        ip.link("add", ifname=port, kind="veth", peer={"ifname": end})
        ip.link("set", index=index_of(ip, port), master=index_of(ip, bridge), state="up")
        ip.link("set", index=index_of(ip, end), state="up")
