"""The lab's links: network namespaces, a bridge between them, one tap for each guest.

`nblab-ID-lan` holds the bridge with the appliance's address, the guests and the daemon; `nblab-ID-dhcp` holds the LAN's
own DHCP server: a plain dnsmasq that leases addresses and sends no boot options; the appliance runs beside it and does
not change it, as on a real LAN. Router advertisements are on, because iPXE waits 16 s for an IPv6 router if there is
none. The computer's own interfaces are never used: no link leads out of these namespaces.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Any, Final, TypeVar

from pyroute2 import IPRoute, netns

from netboot.lab.records import NAMESPACE_PREFIX

APPLIANCE: Final = IPv4Interface("192.0.2.10/24")
DHCP_SERVER: Final = IPv4Interface("192.0.2.1/24")
DHCP_SERVER_V6: Final = IPv6Interface("fd00:6e62::1/64")
BRIDGE: Final = "br0"
DHCP_CARD: Final = "eth0"
_NO_DAD = 0x02  # IFA_F_NODAD: usable at once, no duplicate is possible

_DNSMASQ: Final = (
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

Result = TypeVar("Result")


class Lan:
    """One boot LAN: appliance, guests and a plain DHCP server on one bridge. Tests derive other LANs from it."""

    dhcp_settings = "{mode: proxy}"  # the appliance's section `dhcp`
    guests_bridge = BRIDGE

    def __init__(self, lab_id: str) -> None:
        self.prefix = f"{NAMESPACE_PREFIX}{lab_id}"
        self.namespace = f"{self.prefix}-lan"
        self.dhcp_namespace = f"{self.prefix}-dhcp"

    def create(self) -> None:
        netns.create(self.namespace)
        within(self.namespace, self._make_bridges)
        # no broadcast address: dnsmasq answers broadcasts to 255.255.255.255
        self.join(self.dhcp_namespace, DHCP_CARD, DHCP_SERVER, DHCP_SERVER_V6, bridge=BRIDGE)

    def remove(self) -> None:
        """Remove the namespaces with all that is in them; processes there must be gone."""
        for name in netns.listnetns():
            if name.rpartition("-")[0] == self.prefix:
                netns.remove(name)

    def servers(self, work: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield name and command of each server that runs beside the appliance; `work` is for their files."""
        options = (f"--interface={DHCP_CARD}", *advertising(DHCP_SERVER_V6), lease_range(DHCP_SERVER, 100, 199))
        yield "dhcp", inside(self.dhcp_namespace, *dnsmasq_command(work / "leases", *options))

    def add_tap(self, name: str) -> None:
        """Make a tap on the bridge for one guest, unless it exists."""

        def make(ip: Any) -> None:
            if not ip.link_lookup(ifname=name):
                ip.link("add", ifname=name, kind="tuntap", mode="tap")
            ip.link("set", index=index_of(ip, name), master=index_of(ip, self.guests_bridge), state="up")

        within(self.namespace, make)

    def _make_bridges(self, ip: Any) -> None:
        ip.link("set", index=index_of(ip, "lo"), state="up")
        for name in {BRIDGE, self.guests_bridge}:
            ip.link("add", ifname=name, kind="bridge", br_stp_state=0, br_forward_delay=0, br_mcast_snooping=0)
            ip.link("set", index=index_of(ip, name), state="up")
        ip.addr(
            "add",
            index=index_of(ip, BRIDGE),
            address=str(APPLIANCE.ip),
            prefixlen=APPLIANCE.network.prefixlen,
            broadcast=str(APPLIANCE.network.broadcast_address),
        )

    def join(self, namespace: str, card: str, *addresses: IPv4Interface | IPv6Interface, bridge: str) -> None:
        """Connect a namespace to a bridge by a veth pair, with these addresses."""
        if namespace not in netns.listnetns():
            netns.create(namespace)
        port = f"{namespace.rpartition('-')[2]}-{card}"

        def plug(ip: Any) -> None:
            ip.link("add", ifname=port, kind="veth", peer={"ifname": card, "net_ns_fd": namespace})
            ip.link("set", index=index_of(ip, port), master=index_of(ip, bridge), state="up")

        def address_it(ip: Any) -> None:
            ip.link("set", index=index_of(ip, "lo"), state="up")
            ip.link("set", index=index_of(ip, card), state="up")
            for address in addresses:
                ip.addr(
                    "add",
                    index=index_of(ip, card),
                    address=str(address.ip),
                    prefixlen=address.network.prefixlen,
                    flags=_NO_DAD if address.version == 6 else 0,
                )

        within(self.namespace, plug)
        within(namespace, address_it)


def inside(namespace: str, *command: str) -> tuple[str, ...]:
    """Return the command that runs `command` in a namespace, under its own pid, and ends with this process."""
    # Both exec the command, so the pid stays; the death signal ends guests when a lab is killed.
    return ("setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{namespace}", "--", *command)


def index_of(ip: Any, name: str) -> int:
    return int(ip.link_lookup(ifname=name)[0])


def within(namespace: str, work: Callable[[Any], Result]) -> Result:
    """Run `work` with a netlink socket of that namespace, in a new thread, because each thread has one namespace."""

    def body() -> Result:
        netns.setns(namespace)
        with IPRoute() as ip:
            return work(ip)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"netns-{namespace}") as thread:
        return thread.submit(body).result()


def dnsmasq_command(leases: Path, *options: str) -> tuple[str, ...]:
    """Return dnsmasq's command line; without `options` it leases and advertises nothing."""
    return (*_DNSMASQ, f"--dhcp-leasefile={leases}", *options)


def advertising(router: IPv6Interface) -> tuple[str, ...]:
    """Return the options that advertise an IPv6 router."""
    return (f"--dhcp-range={router.network.network_address},ra-only", "--enable-ra")


def lease_range(server: IPv4Interface, first: int, last: int) -> str:
    """Return the option that leases these addresses of the network of `server`, by their place in it."""
    network = server.network
    return f"--dhcp-range={network[first]},{network[last]},{network.netmask},1h"
