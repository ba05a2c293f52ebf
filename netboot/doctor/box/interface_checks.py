"""Checks the interfaces on which machines boot: MTU, bridge or bond, a DHCP client, a second card on the segment."""

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

from netboot.doctor.box.box_inputs import BoxInputs
from netboot.doctor.doctor_finding import DoctorFinding, Level

_MTU: Final = "box.mtu"
_MASTER: Final = "box.master"
_DHCP_CLIENT: Final = "box.dhcp_client"
_ROUTING: Final = "box.routing"
_ETHERNET: Final = 1500
_LEAST: Final = 576  # RFC 1122: what every host must receive
_TFTP_HEADERS: Final = 32  # IP 20, UDP 8, TFTP 4
_SYSCTL: Final = "/proc/sys/net/ipv4/conf"


def check_mtu(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Report a boot interface with a smaller MTU than firmware has, which is always 1500."""
    for name in given.served():
        mtu = given.links[name].mtu_bytes
        if mtu < _ETHERNET:
            yield DoctorFinding(
                _MTU,
                Level.PROBLEM if mtu < _LEAST else Level.WARNING,
                f"{name} has the MTU {mtu}: firmware sends frames of up to {_ETHERNET} bytes, which may be lost, and "
                f"TFTP has blocks of at most {mtu - _TFTP_HEADERS} bytes in place of {_ETHERNET - _TFTP_HEADERS}",
                (f"/sys/class/net/{name}/mtu: {mtu}",),
                f"ip link set dev {name} mtu {_ETHERNET}; set it in the configuration of the network too",
            )


def check_masters(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Report a boot interface that is a port of a bridge or bond: its packets arrive on the master."""
    for wanted in given.settings.network.interfaces:
        link = given.facts.path(f"/sys/class/net/{wanted.name}/master")
        if link.is_symlink():
            master = link.readlink().name
            yield DoctorFinding(
                _MASTER,
                Level.PROBLEM,
                f"{wanted.name} is a port of {master}, so its packets arrive on {master}",
                (f"/sys/class/net/{wanted.name}/master -> {master}",),
                f"write {master} in network.interfaces, in place of {wanted.name}",
            )


def check_dhcp_client(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Report a boot interface whose address is leased: it may change, and machines keep its URLs."""
    for name, address in given.served().items():
        for entry in _addresses(given, name):
            if entry.get("local") == str(address.ip) and entry.get("dynamic"):
                yield DoctorFinding(
                    _DHCP_CLIENT,
                    Level.WARNING,
                    f"{name} has its address {address.ip} from a DHCP server: if it changes, running installs fail",
                    (f"{name}: inet {address} dynamic, valid for {entry.get('valid_life_time')} s",),
                    _static_address(given, name, str(address)),
                )


def _addresses(given: BoxInputs, name: str) -> list[dict[str, Any]]:
    printed = given.facts.output("ip", "-j", "-4", "address", "show", "dev", name)
    return [entry for link in json.loads(printed or "[]") for entry in link.get("addr_info", ())]


def _static_address(given: BoxInputs, name: str, address: str) -> str:
    """Return how the address becomes a fixed one, by the program that manages the interface."""
    if given.facts.path("/run/NetworkManager").is_dir():
        change = f"nmcli connection modify {name} ipv4.method manual ipv4.addresses {address}"
        return f"{change} && nmcli connection up {name} (`nmcli connection` lists the name of the connection)"
    if given.facts.path(f"/run/systemd/netif/leases/{given.links[name].index}").exists():
        return f"in the .network file of {name}: DHCP=no and Address={address}; then networkctl reload"
    return f"give {name} the fixed address {address} in the configuration of the network, or reserve it"


def check_routing(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Report two interfaces on one segment: Linux answers ARP for both on both, and may drop what it receives."""
    served = given.served()
    for (name, link), (other, other_link) in combinations(sorted(given.links.items()), 2):
        if not (link.is_up and other_link.is_up) or not {name, other} & served.keys():
            continue
        shared = [
            mine.address.network
            for mine in link.addresses
            for theirs in other_link.addresses
            if mine.address.network == theirs.address.network and mine.address.network.prefixlen < 32
        ]
        if shared:
            yield from _on_one_segment(given, name, other, str(shared[0]))


def _on_one_segment(given: BoxInputs, name: str, other: str, network: str) -> Iterator[DoctorFinding]:
    ignored, announced = _highest(given, "arp_ignore", name, other), _highest(given, "arp_announce", name, other)
    if not ignored or announced < 2:
        yield DoctorFinding(
            _ROUTING,
            Level.WARNING,
            f"{name} and {other} are both in {network}: each answers ARP for the address of the other, so machines may "
            "send to the wrong card",
            (f"net.ipv4.conf.*.arp_ignore: {ignored}", f"net.ipv4.conf.*.arp_announce: {announced}"),
            "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2; "
            "write both into /etc/sysctl.d/90-netboot.conf, or take one card out of this network",
        )
    for each in (name, other):
        if each in given.served() and _highest(given, "rp_filter", each) == 1:
            yield DoctorFinding(
                _ROUTING,
                Level.WARNING,
                f"{name} and {other} are both in {network}, and the strict reverse path filter drops what arrives on "
                f"{each} if the route leads to the other card",
                (f"net.ipv4.conf.{each}.rp_filter: 1",),
                f"sysctl -w net.ipv4.conf.{each}.rp_filter=2; write it into /etc/sysctl.d/90-netboot.conf too",
            )


def _highest(given: BoxInputs, name: str, *interfaces: str) -> int:
    """Return the value in force: the kernel uses the larger one of `all` and the interface (ip-sysctl)."""
    everywhere = given.facts.number(f"{_SYSCTL}/all/{name}") or 0
    return min(max(everywhere, given.facts.number(f"{_SYSCTL}/{each}/{name}") or 0) for each in interfaces)
