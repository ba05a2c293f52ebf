"""The LAN's own DHCP server: a plain dnsmasq that leases addresses and knows nothing of booting.

The appliance stands beside it and may not change it, as on a real LAN. Router advertisements are on, since iPXE waits
16 s for an IPv6 router where there is none.
"""

from pathlib import Path

from netboot.lab.network import DHCP_CARD, DHCP_SERVER, DHCP_SERVER_V6

FIRST_LEASE, LAST_LEASE = (str(DHCP_SERVER.network[number]) for number in (100, 199))


def dnsmasq_command(leases: Path, *extra: str) -> tuple[str, ...]:
    """Return dnsmasq's command line; `extra` are further options, for tests that need a less plain server."""
    return (
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--user=root",
        "--pid-file=",
        "--port=0",
        "--no-resolv",
        "--no-hosts",
        f"--interface={DHCP_CARD}",
        "--bind-interfaces",
        "--no-ping",
        f"--dhcp-range={FIRST_LEASE},{LAST_LEASE},{DHCP_SERVER.netmask},1h",
        f"--dhcp-range={DHCP_SERVER_V6.network.network_address},ra-only",
        "--enable-ra",
        f"--dhcp-leasefile={leases}",
        "--log-dhcp",
        "--log-facility=-",
        *extra,
    )
