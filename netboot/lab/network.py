"""The lab's wires: two network namespaces, a bridge between them, one tap for each guest.

`nblab-ID-lan` holds the bridge with the appliance's address, the guests and the daemon; `nblab-ID-dhcp` holds the LAN's
own DHCP server. The machine's interfaces are never touched: nothing here leads out of the two namespaces.
"""

import threading
from collections.abc import Callable
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any, Final, TypeVar

from pyroute2 import IPRoute, netns

from netboot.lab.records import NAMESPACE_PREFIX

APPLIANCE: Final = IPv4Interface("192.0.2.10/24")
DHCP_SERVER: Final = IPv4Interface("192.0.2.1/24")
DHCP_SERVER_V6: Final = IPv6Interface("fd00:6e62::1/64")
BRIDGE: Final = "br0"
DHCP_CARD: Final = "eth0"
_NO_DAD = 0x02  # IFA_F_NODAD: usable at once, there is nobody else

Result = TypeVar("Result")


class Lan:
    """One boot LAN."""

    def __init__(self, lab_id: str) -> None:
        self.namespace = f"{NAMESPACE_PREFIX}{lab_id}-lan"
        self.dhcp_namespace = f"{NAMESPACE_PREFIX}{lab_id}-dhcp"

    def create(self) -> None:
        """Make the namespaces, the bridge and the wire between them."""
        netns.create(self.namespace)
        netns.create(self.dhcp_namespace)
        _within(self.namespace, self._make_bridge)
        _within(self.dhcp_namespace, self._address_dhcp_server)

    def remove(self) -> None:
        """Remove both namespaces with all that is in them; processes there must be gone."""
        present = set(netns.listnetns())
        for name in (self.namespace, self.dhcp_namespace):
            if name in present:
                netns.remove(name)

    def add_tap(self, name: str) -> None:
        """Make a tap on the bridge for one guest; one that is there stays."""

        def make(ip: Any) -> None:
            if not ip.link_lookup(ifname=name):
                ip.link("add", ifname=name, kind="tuntap", mode="tap")
            ip.link("set", index=_index(ip, name), master=_index(ip, BRIDGE), state="up")

        _within(self.namespace, make)

    def inside(self, *command: str) -> tuple[str, ...]:
        """Return the command that runs `command` on the LAN, under its own pid, and ends with this process."""
        return _inside(self.namespace, command)

    def inside_dhcp(self, *command: str) -> tuple[str, ...]:
        """Return the command that runs `command` beside the LAN's DHCP server."""
        return _inside(self.dhcp_namespace, command)

    def _make_bridge(self, ip: Any) -> None:
        ip.link("set", index=_index(ip, "lo"), state="up")
        ip.link("add", ifname=BRIDGE, kind="bridge", br_stp_state=0, br_forward_delay=0, br_mcast_snooping=0)
        bridge = _index(ip, BRIDGE)
        ip.addr(
            "add",
            index=bridge,
            address=str(APPLIANCE.ip),
            prefixlen=APPLIANCE.network.prefixlen,
            broadcast=str(APPLIANCE.network.broadcast_address),
        )
        ip.link("set", index=bridge, state="up")
        ip.link("add", ifname="dhcp", kind="veth", peer={"ifname": DHCP_CARD, "net_ns_fd": self.dhcp_namespace})
        ip.link("set", index=_index(ip, "dhcp"), master=bridge, state="up")

    def _address_dhcp_server(self, ip: Any) -> None:
        card = _index(ip, DHCP_CARD)
        ip.link("set", index=_index(ip, "lo"), state="up")
        ip.link("set", index=card, state="up")
        for address in (DHCP_SERVER, DHCP_SERVER_V6):
            # no broadcast address: dnsmasq answers broadcasts to 255.255.255.255
            ip.addr(
                "add",
                index=card,
                address=str(address.ip),
                prefixlen=address.network.prefixlen,
                flags=_NO_DAD if address.version == 6 else 0,
            )


def _inside(namespace: str, command: tuple[str, ...]) -> tuple[str, ...]:
    # Both exec what follows, so the pid stays; the death signal keeps guests from outliving a lab that is killed.
    return ("setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{namespace}", "--", *command)


def _index(ip: Any, name: str) -> int:
    return int(ip.link_lookup(ifname=name)[0])


def _within(namespace: str, work: Callable[[Any], Result]) -> Result:
    """Run `work` with a netlink socket of that namespace.

    In a thread of its own that ends afterwards: a namespace belongs to a thread, and no other may wake up in it.
    """
    results: list[Result] = []
    faults: list[Exception] = []

    def body() -> None:
        try:
            netns.setns(namespace)
            with IPRoute() as ip:
                results.append(work(ip))
        except Exception as fault:  # handed to the caller below
            faults.append(fault)

    thread = threading.Thread(target=body, name=f"netns-{namespace}")
    thread.start()
    thread.join()
    if faults:
        raise faults[0]
    return results[0]
