"""The LAN's own DHCP server: a plain dnsmasq that leases addresses and sends no boot options.

The appliance runs beside it and does not change it, as on a real LAN. Router advertisements are on, because iPXE
waits 16 s for an IPv6 router if there is none.
"""

from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Final

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


def dnsmasq_command(leases: Path, *options: str) -> tuple[str, ...]:
    """Return dnsmasq's command line; without `options` it leases and advertises nothing."""
    return (*_PLAIN, f"--dhcp-leasefile={leases}", *options)


def advertising(router: IPv6Interface) -> tuple[str, ...]:
    """Return the options that advertise an IPv6 router."""
    return (f"--dhcp-range={router.network.network_address},ra-only", "--enable-ra")


def lease_range(server: IPv4Interface, first: int, last: int) -> str:
    """Return the option that leases these addresses of the network of `server`, by their place in it."""
    network = server.network
    return f"--dhcp-range={network[first]},{network[last]},{network.netmask},1h"
