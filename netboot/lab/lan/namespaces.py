"""The lab's wires: network namespaces, a bridge between them, one tap for each guest.

`nblab-ID-lan` holds the bridge with the appliance's address, the guests and the daemon; `nblab-ID-dhcp` holds the LAN's
own DHCP server, `-dhcp2` a second one, `-router` a router with a relay. Where something lies between the guests and the
appliance, the guests' taps are on a bridge of their own that has no address. The machine's interfaces are never
touched: nothing here leads out of these namespaces.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Any, Final, TypeVar, assert_never

from pyroute2 import IPRoute, netns

from netboot.lab.records import NAMESPACE_PREFIX

APPLIANCE: Final = IPv4Interface("192.0.2.10/24")
DHCP_SERVER: Final = IPv4Interface("192.0.2.1/24")
DHCP_SERVER_V6: Final = IPv6Interface("fd00:6e62::1/64")
SECOND_DHCP_SERVER: Final = IPv4Interface("192.0.2.2/24")
ROUTER: Final = IPv4Interface("192.0.2.3/24")
FAR_ROUTER: Final = IPv4Interface("198.51.100.1/24")  # the same router, as the guests behind it see it
FAR_ROUTER_V6: Final = IPv6Interface("fd00:6e63::1/64")
BRIDGE: Final = "br0"
FAR_BRIDGE: Final = "far0"  # the guests', where they are not on the appliance's
DHCP_CARD: Final = "eth0"
FAR_CARD: Final = "eth1"
BAD_WIRE: Final = ("bad0", "bad1")  # its two ends, for `bad_wire` to carry frames between
_NO_DAD = 0x02  # IFA_F_NODAD: usable at once, there is nobody else

Result = TypeVar("Result")


class Between(StrEnum):
    """What lies between the guests and the appliance."""

    NOTHING = "nothing"  # one LAN
    RELAY = "relay"  # a router: the guests have a network of their own, and a DHCP relay
    BAD_WIRE = "bad-wire"  # loss and delay


@dataclass(frozen=True, slots=True)
class Wiring:
    """How a LAN differs from the plain one."""

    dhcp_servers: int = 1  # plain ones beside the appliance, two at most; 0: the appliance leases
    between: Between = Between.NOTHING


PLAIN: Final = Wiring()


class Lan:
    """One boot LAN."""

    def __init__(self, lab_id: str, wiring: Wiring = PLAIN) -> None:
        self.wiring = wiring
        self.namespace = f"{NAMESPACE_PREFIX}{lab_id}-lan"
        self.dhcp_namespace = f"{NAMESPACE_PREFIX}{lab_id}-dhcp"
        self.second_dhcp_namespace = f"{NAMESPACE_PREFIX}{lab_id}-dhcp2"
        self.router_namespace = f"{NAMESPACE_PREFIX}{lab_id}-router"

    def create(self) -> None:
        """Make the namespaces, the bridges and the wires between them."""
        netns.create(self.namespace)
        within(self.namespace, self._make_bridges)
        # no broadcast address for any of them: dnsmasq answers broadcasts to 255.255.255.255
        self._join(self.dhcp_namespace, DHCP_CARD, DHCP_SERVER, DHCP_SERVER_V6, bridge=BRIDGE)
        if self.wiring.dhcp_servers > 1:
            self._join(self.second_dhcp_namespace, DHCP_CARD, SECOND_DHCP_SERVER, bridge=BRIDGE)
        match self.wiring.between:
            case Between.RELAY:
                self._join(self.router_namespace, DHCP_CARD, ROUTER, bridge=BRIDGE)
                self._join(self.router_namespace, FAR_CARD, FAR_ROUTER, FAR_ROUTER_V6, bridge=FAR_BRIDGE)
                within(self.router_namespace, _forward)
                within(self.namespace, _route_to_far)
                within(self.dhcp_namespace, _route_to_far)
            case Between.BAD_WIRE:
                within(self.namespace, _make_bad_wire)
            case Between.NOTHING:
                pass
            case _:
                assert_never(self.wiring.between)

    def remove(self) -> None:
        """Remove the namespaces with all that is in them; processes there must be gone."""
        present = set(netns.listnetns())
        for name in (self.namespace, self.dhcp_namespace, self.second_dhcp_namespace, self.router_namespace):
            if name in present:
                netns.remove(name)

    @property
    def guests_bridge(self) -> str:
        """The bridge that the guests are on."""
        return BRIDGE if self.wiring.between is Between.NOTHING else FAR_BRIDGE

    def add_tap(self, name: str) -> None:
        """Make a tap on the bridge for one guest; one that is there stays."""

        def make(ip: Any) -> None:
            if not ip.link_lookup(ifname=name):
                ip.link("add", ifname=name, kind="tuntap", mode="tap")
            ip.link("set", index=_index(ip, name), master=_index(ip, self.guests_bridge), state="up")

        within(self.namespace, make)

    def inside(self, *command: str) -> tuple[str, ...]:
        """Return the command that runs `command` on the LAN, under its own pid, and ends with this process."""
        return _inside(self.namespace, command)

    def inside_dhcp(self, *command: str) -> tuple[str, ...]:
        """Return the command that runs `command` beside the LAN's DHCP server."""
        return _inside(self.dhcp_namespace, command)

    def inside_second_dhcp(self, *command: str) -> tuple[str, ...]:
        """Return the command that runs `command` beside the second DHCP server."""
        return _inside(self.second_dhcp_namespace, command)

    def inside_router(self, *command: str) -> tuple[str, ...]:
        """Return the command that runs `command` on the router."""
        return _inside(self.router_namespace, command)

    def _make_bridges(self, ip: Any) -> None:
        ip.link("set", index=_index(ip, "lo"), state="up")
        for name in {BRIDGE, self.guests_bridge}:
            ip.link("add", ifname=name, kind="bridge", br_stp_state=0, br_forward_delay=0, br_mcast_snooping=0)
            ip.link("set", index=_index(ip, name), state="up")
        ip.addr(
            "add",
            index=_index(ip, BRIDGE),
            address=str(APPLIANCE.ip),
            prefixlen=APPLIANCE.network.prefixlen,
            broadcast=str(APPLIANCE.network.broadcast_address),
        )

    def _join(self, namespace: str, card: str, *addresses: IPv4Interface | IPv6Interface, bridge: str) -> None:
        """Join a namespace to a bridge by a wire, and give it these addresses there."""
        if namespace not in netns.listnetns():
            netns.create(namespace)
        port = f"{namespace.rpartition('-')[2]}-{card}"

        def plug(ip: Any) -> None:
            ip.link("add", ifname=port, kind="veth", peer={"ifname": card, "net_ns_fd": namespace})
            ip.link("set", index=_index(ip, port), master=_index(ip, bridge), state="up")

        def address_it(ip: Any) -> None:
            ip.link("set", index=_index(ip, "lo"), state="up")
            ip.link("set", index=_index(ip, card), state="up")
            for address in addresses:
                ip.addr(
                    "add",
                    index=_index(ip, card),
                    address=str(address.ip),
                    prefixlen=address.network.prefixlen,
                    flags=_NO_DAD if address.version == 6 else 0,
                )

        within(self.namespace, plug)
        within(namespace, address_it)


def _forward(_ip: Any) -> None:
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _route_to_far(ip: Any) -> None:
    ip.route("add", dst=str(FAR_ROUTER.network), gateway=str(ROUTER.ip))


def _make_bad_wire(ip: Any) -> None:
    for end, bridge in zip(BAD_WIRE, (FAR_BRIDGE, BRIDGE), strict=True):
        port = f"{end}-port"
        ip.link("add", ifname=port, kind="veth", peer={"ifname": end})
        ip.link("set", index=_index(ip, port), master=_index(ip, bridge), state="up")
        ip.link("set", index=_index(ip, end), state="up")


def _inside(namespace: str, command: tuple[str, ...]) -> tuple[str, ...]:
    # Both exec what follows, so the pid stays; the death signal keeps guests from outliving a lab that is killed.
    return ("setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{namespace}", "--", *command)


def _index(ip: Any, name: str) -> int:
    return int(ip.link_lookup(ifname=name)[0])


def within(namespace: str, work: Callable[[Any], Result]) -> Result:
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
