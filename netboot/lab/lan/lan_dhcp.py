"""The LAN's own DHCP servers and its relay: plain dnsmasqs that lease addresses and know nothing of booting.

The appliance stands beside them and may not change them, as on a real LAN. Router advertisements are on, since iPXE
waits 16 s for an IPv6 router where there is none.
"""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from netboot.lab.lan.namespaces import (
    APPLIANCE,
    DHCP_CARD,
    DHCP_SERVER,
    DHCP_SERVER_V6,
    FAR_CARD,
    FAR_ROUTER,
    FAR_ROUTER_V6,
)

_PLAIN: Final = (
    "dnsmasq",
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    "--user=root",
    "--group=root",  # another would clear the death signal (prctl(2)), and it would outlive a lab that is killed
    "--pid-file=",
    "--port=0",
    "--no-resolv",
    "--no-hosts",
    "--bind-interfaces",
    "--no-ping",
    "--log-dhcp",
    "--log-facility=-",
)
_ADVERTISES: Final = (
    f"--interface={DHCP_CARD}",
    f"--dhcp-range={DHCP_SERVER_V6.network.network_address},ra-only",
    "--enable-ra",
)


def dnsmasq_command(leases: Path, *extra: str) -> tuple[str, ...]:
    """Return dnsmasq's command line; `extra` are further options, for tests that need a less plain server."""
    return (*_PLAIN, *_ADVERTISES, _range(DHCP_SERVER.network, 100, 199), f"--dhcp-leasefile={leases}", *extra)


def second_dnsmasq_command(leases: Path) -> tuple[str, ...]:
    """Return the command line of a second server on the LAN, with addresses of its own."""
    return (*_PLAIN, f"--interface={DHCP_CARD}", _range(DHCP_SERVER.network, 200, 249), f"--dhcp-leasefile={leases}")


def advertiser_command(leases: Path) -> tuple[str, ...]:
    """Return the command line of one that only advertises the IPv6 router: the appliance leases."""
    return (*_PLAIN, *_ADVERTISES, f"--dhcp-leasefile={leases}")


def relay_command(leases: Path) -> tuple[str, ...]:
    """Return the command line of the relay in the router: each question goes to the DHCP server and the appliance."""
    return (
        *_PLAIN,
        f"--interface={FAR_CARD}",
        f"--interface={DHCP_CARD}",  # the servers' answers come in here
        *(f"--dhcp-relay={FAR_ROUTER.ip},{server.ip}" for server in (DHCP_SERVER, APPLIANCE)),
        f"--dhcp-range={FAR_ROUTER_V6.network.network_address},ra-only",
        "--enable-ra",
        f"--dhcp-leasefile={leases}",
    )


def far_range() -> str:
    """Return the option by which the LAN's DHCP server leases to the guests behind the relay, too."""
    return _range(FAR_ROUTER.network, 100, 199)


def _range(network: IPv4Network, first: int, last: int) -> str:
    return f"--dhcp-range={network[first]},{network[last]},{network.netmask},1h"
