"""Findings about the link and its neighbours: spanning tree, LACP, VLANs, LLDP, relays, addresses, IPv6. Pure."""

from collections.abc import Callable, Iterator
from typing import Final

from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.doctor.lan import lan_checks
from netboot.doctor.lan.heard_interface import HeardInterface
from netboot.doctor.lan.packets.switch_frames import Bpdu, PortState, RouterAdvertisement
from netboot.model.words import shown_seconds

SLOW_PORT_S: Final = 5.0  # from the link's carrier to the first packet: iPXE waits 15 s, a ROM about 4 s
_BOND: Final = "bond"
_EDGE: Final = (
    "let the ports of machines be edge ports: spanning-tree portfast (Cisco, Arista), "
    "edge-port (Juniper), admin-edge (HPE, Dell), or spanning tree off on them"
)


def link_findings(found: HeardInterface) -> Iterator[DoctorFinding]:
    """Yield every finding about one interface that is not about a server."""
    for findings in _FINDINGS:
        yield from findings(found)


def _carrier(found: HeardInterface) -> Iterator[DoctorFinding]:
    flaps = found.carrier.changes_after - found.carrier.changes_before
    if flaps > 1:
        yield DoctorFinding(
            lan_checks.LINK,
            Level.WARNING,
            f"the link of {found.name} went down and up while it was listened on",
            (f"{flaps} changes of its carrier in {found.seconds:g} s",),
            "replace the cable or the transceiver, or correct speed and duplex of the switch's port",
        )


def _duplicates(found: HeardInterface) -> Iterator[DoctorFinding]:
    for address, macs in found.heard.claims.items():
        ours = sorted({found.own_macs[mac] for mac in macs if mac in found.own_macs} - {found.name})
        others = sorted(mac for mac in macs if mac not in found.own_macs)
        if others:
            yield DoctorFinding(
                lan_checks.DUPLICATE_ADDRESS,
                Level.PROBLEM,
                f"another computer has the address {address} of {found.name}: machines are sent to one or the other",
                (f"ARP from {', '.join(others)}",),
                "give one of the two another address; arping -D shows when it is free",
            )
        if ours:
            yield DoctorFinding(
                lan_checks.DUPLICATE_ADDRESS,
                Level.WARNING,
                f"{', '.join(ours)} of this appliance answers for {address} of {found.name}: "
                "two of its cards are on one LAN",
                (f"ARP from {', '.join(sorted(macs & found.own_macs.keys()))}",),
                f"connect one of them, or set net.ipv4.conf.all.arp_ignore=1 and arp_announce=2; {found.name} serves",
            )


def _spanning_tree(found: HeardInterface) -> Iterator[DoctorFinding]:
    heard = found.heard
    evidence = (*(_shown(each) for each in heard.bpdus.values()), *_since_carrier(found))
    delay_s = _delay_s(found)
    blocked = [each for each in heard.bpdus.values() if each.state in (PortState.DISCARDING, PortState.LEARNING)]
    if delay_s is not None and delay_s >= SLOW_PORT_S and heard.first_frame_at_s is not None:
        sentence = (
            f"the first packet came through {found.name} {shown_seconds(delay_s)} after its link came up: "
            'firmware ends its boot before that, and iPXE prints "No configuration methods succeeded"'
        )
    elif blocked:
        sentence = f"the switch's port at {found.name} is {blocked[0].state}, so it forwards nothing yet"
    elif heard.only_switch_frames and found.sends:
        sentence = (
            f"nothing but frames of the switch came through {found.name} in {found.seconds:g} s: "
            f"its port may not forward yet, for {_forward_text(next(iter(heard.bpdus.values())))} after link up"
        )
    else:
        if heard.bpdus:
            first = next(iter(heard.bpdus.values()))
            yield DoctorFinding(
                lan_checks.SPANNING_TREE,
                Level.NOTE,
                f"the switch at {found.name} uses spanning tree: a port that is no edge port forwards nothing for "
                f"{_forward_text(first)} after link up, and firmware gives up earlier",
                evidence,
                _EDGE,
            )
        return
    yield DoctorFinding(lan_checks.SPANNING_TREE, Level.WARNING, sentence, evidence, _EDGE)


def _delay_s(found: HeardInterface) -> float | None:
    """Return the time from the carrier to the first packet; None if the carrier was there before."""
    up_at_s, first_at_s = found.carrier.up_at_s, found.heard.first_frame_at_s
    return None if up_at_s is None or first_at_s is None else first_at_s - up_at_s


def _since_carrier(found: HeardInterface) -> Iterator[str]:
    yield f"{found.carrier.changes_after} changes of the carrier of {found.name} since it exists"
    if (delay_s := _delay_s(found)) is not None:
        yield f"first packet {shown_seconds(delay_s)} after link up"


def _forward_text(bpdu: Bpdu) -> str:
    """Write how long a port listens and learns: twice the forward delay (802.1D §17.14)."""
    return f"{2 * bpdu.forward_delay_s:g} s (2 × {bpdu.forward_delay_s:g} s)"


def _shown(bpdu: Bpdu) -> str:
    name = "RSTP" if bpdu.is_rapid else "802.1D"
    state = "" if bpdu.state is PortState.UNKNOWN else f", port {bpdu.state}"
    return (
        f"{name} BPDU of bridge {bpdu.bridge}, root {bpdu.root}{state}: hello {bpdu.hello_s:g} s, "
        f"max age {bpdu.max_age_s:g} s, forward delay {bpdu.forward_delay_s:g} s"
    )


def _lacp(found: HeardInterface) -> Iterator[DoctorFinding]:
    evidence = tuple(f"LACP of system {each.system}, port {each.port}" for each in found.heard.partners.values())
    if evidence and found.kind != _BOND:
        yield DoctorFinding(
            lan_checks.LACP,
            Level.WARNING,
            f"the switch sends LACP on {found.name}, which is no bond: it may not forward for a single port",
            evidence,
            "take the port out of the link aggregation, or make a bond (mode 802.3ad) and serve that; for machines: "
            "LACP fallback (Arista), no lacp suspend-individual (Cisco), force-up (Juniper): firmware has no LACP",
        )


def _vlans(found: HeardInterface) -> Iterator[DoctorFinding]:
    for vlan, tagged in sorted(found.heard.tags.items()):
        device = f"{found.name}.{vlan}"
        if device in found.served:
            continue
        has_requests = tagged.requests > 0
        yield DoctorFinding(
            lan_checks.VLAN,
            Level.WARNING if has_requests else Level.NOTE,
            f"{'DHCP requests' if has_requests else 'frames'} tagged VLAN {vlan} arrive on {found.name}, "
            f"which serves untagged machines only",
            (f"{tagged.frames} frames with the tag {vlan}, {tagged.requests} requests of DHCP clients among them",),
            f"if machines boot in VLAN {vlan}: ip link add link {found.name} name {device} type vlan id {vlan}, give "
            f"it an address, and serve {device} in network.interfaces; or let the switch send this VLAN untagged",
        )


def _switch(found: HeardInterface) -> Iterator[DoctorFinding]:
    for port in found.heard.ports.values():
        vlan = f", untagged VLAN {port.vlan}" if port.vlan else ""
        described = f" ({port.description})" if port.description else ""
        yield DoctorFinding(
            lan_checks.SWITCH,
            Level.NOTE,
            f"{found.name} is connected to {port.name or port.chassis}, port {port.port}{described}{vlan}",
            (f"LLDP of chassis {port.chassis}",),
        )


def _relays(found: HeardInterface) -> Iterator[DoctorFinding]:
    for relay, what in found.heard.relays.items():
        yield DoctorFinding(
            lan_checks.RELAY,
            Level.NOTE,
            f"the DHCP relay {relay} forwards requests: machines behind it boot if it forwards to this appliance too, "
            "and if this appliance has a route to it",
            (what,),
            f"name an address of this appliance as a further server of the relay (ip helper-address); "
            f"ip route get {relay} shows the route",
        )
    with_82 = [each for each in found.heard.offers.values() if each.has_relay_option and not each.relay]
    if with_82:
        yield DoctorFinding(
            lan_checks.RELAY,
            Level.NOTE,
            f"a switch of {found.name} adds option 82 to DHCP requests (DHCP snooping)",
            tuple(sorted({each.evidence for each in with_82})),
            "let the port of this appliance be trusted, or the switch drops its offers: ip dhcp snooping trust",
        )


def _routers(found: HeardInterface) -> Iterator[DoctorFinding]:
    for router in found.heard.routers.values():
        yield DoctorFinding(
            lan_checks.ROUTER_ADVERTISEMENT,
            Level.NOTE,
            f"{router.router} advertises IPv6 on {found.name}: {_ipv6_effect(router)}",
            (
                f"router advertisement of {router.mac}: M {router.is_managed:d}, O {router.has_other:d}"
                + (f", {', '.join(router.prefixes)}" if router.prefixes else ""),
            ),
            "netboot serves IPv4: put the IPv4 entry before the IPv6 entry in the boot order of the firmware",
        )


def _ipv6_effect(router: RouterAdvertisement) -> str:
    if router.is_managed:
        return "firmware that tries IPv6 first requests an address by DHCPv6 and a boot file, and waits before IPv4"
    other = " and requests a boot file by DHCPv6 (O)" if router.has_other else ""
    return f"firmware that tries IPv6 first makes an address{other}, and waits before it tries IPv4"


_FINDINGS: Final[tuple[Callable[[HeardInterface], Iterator[DoctorFinding]], ...]] = (
    _carrier,
    _duplicates,
    _spanning_tree,
    _lacp,
    _vlans,
    _switch,
    _relays,
    _routers,
)
