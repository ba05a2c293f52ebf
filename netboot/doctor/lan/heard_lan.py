"""What was heard on one interface, bounded: offers of servers, and the frames of switches, routers and neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, Final, TypeVar

from netboot.doctor.lan.packets.lan_socket import LanFrame
from netboot.doctor.lan.packets.server_offer import Request, ServerOffer, options_of, read_offer
from netboot.doctor.lan.packets.switch_frames import (
    Bpdu,
    LacpPartner,
    RouterAdvertisement,
    SwitchPort,
    read_switch_frame,
)

KEPT: Final = 32  # of each kind; a flood of forged frames adds no more

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(slots=True)
class TaggedFrames:
    """The frames of one VLAN that arrived with its tag."""

    frames: int = 0
    requests: int = 0  # of DHCP clients among them


@dataclass(slots=True)
class HeardLan:
    """`own`: the addresses of this appliance; `requests`: the client of each DISCOVER sent, by transaction id."""

    own: frozenset[IPv4Address]
    requests: dict[int, Request] = field(default_factory=dict)
    offers: dict[tuple[IPv4Address, bool, Request], ServerOffer] = field(default_factory=dict)
    bpdus: dict[str, Bpdu] = field(default_factory=dict)  # by bridge
    partners: dict[str, LacpPartner] = field(default_factory=dict)
    ports: dict[str, SwitchPort] = field(default_factory=dict)
    routers: dict[str, RouterAdvertisement] = field(default_factory=dict)  # by MAC
    claims: dict[IPv4Address, set[str]] = field(default_factory=dict)  # MACs of others that have our addresses
    tags: dict[int, TaggedFrames] = field(default_factory=dict)
    relays: dict[IPv4Address, str] = field(default_factory=dict)  # giaddr, and what showed it
    first_frame_at_s: float | None = None  # that a switch's port forwards; its own are not
    first_bpdu_at_s: float | None = None
    unread: int = 0

    def add(self, received: LanFrame) -> None:
        """Record one frame of anybody; one that no library reads counts as unread."""
        from scapy.layers.l2 import Dot3, Ether

        try:
            is_length = int.from_bytes(received.data[12:14], "big") <= 1500
            self._add((Dot3 if is_length else Ether)(received.data), received)
        except Exception:  # a hostile frame may raise anything in a dissector
            self.unread += 1

    def has_reply(self, exchange: int) -> bool:
        """Return whether a server replied to this DISCOVER."""
        return any(offer.exchange == exchange for offer in self.offers.values())

    @property
    def only_switch_frames(self) -> bool:
        """Return whether the switch was heard, and nothing that its port would forward."""
        return self.first_bpdu_at_s is not None and self.first_frame_at_s is None

    def _add(self, frame: Any, received: LanFrame) -> None:
        from scapy.layers.dhcp import DHCP
        from scapy.layers.l2 import ARP

        if received.vlan is not None:
            self._add_tagged(received.vlan, is_request=DHCP in frame and frame[DHCP].underlayer.op == 1)
            return
        match read_switch_frame(frame):
            case Bpdu() as bpdu:
                _keep(self.bpdus, bpdu.bridge, bpdu)
                self.first_bpdu_at_s = self.first_bpdu_at_s or received.at_s
                return
            case LacpPartner() as partner:
                _keep(self.partners, partner.system, partner)
                return
            case SwitchPort() as port:
                _keep(self.ports, port.chassis, port)
                return
            case RouterAdvertisement() as advertised:
                _keep(self.routers, advertised.mac, advertised)
            case None:
                if ARP in frame:
                    self._add_claim(frame[ARP])
                elif DHCP in frame:
                    self._add_dhcp(frame)
                else:
                    return  # a group frame of a protocol of switches, as CDP
        self.first_frame_at_s = self.first_frame_at_s or received.at_s

    def _add_tagged(self, vlan: int, *, is_request: bool) -> None:
        counted = self.tags.get(vlan)
        if counted is None and len(self.tags) < KEPT:
            counted = self.tags[vlan] = TaggedFrames()
        if counted is not None:
            counted.frames += 1
            counted.requests += is_request

    def _add_claim(self, arp: Any) -> None:
        address, mac = IPv4Address(arp.psrc), str(arp.hwsrc)
        if address in self.own:
            found = self.claims.setdefault(address, set())
            if len(found) < KEPT:
                found.add(mac)

    def _add_dhcp(self, frame: Any) -> None:
        from scapy.layers.dhcp import BOOTP, DHCP

        header, options = frame[BOOTP], options_of(frame[DHCP])
        relay = IPv4Address(header.giaddr)
        if relay != IPv4Address(0) and relay not in self.own:
            what = "a request" if header.op == 1 else "a reply"
            with_82 = " with option 82" if "relay_agent_information" in options else ""
            _keep(self.relays, relay, f"{what} of DHCP has giaddr {relay}{with_82}")
        offer = read_offer(frame, self.requests.get(int(header.xid), Request.UNKNOWN))
        if offer is not None and offer.server not in self.own and offer.source not in self.own:
            _keep(self.offers, (offer.server, offer.leased is not None, offer.request), offer)

    def offers_by_server(self) -> Mapping[tuple[IPv4Address, bool], list[ServerOffer]]:
        """Group the offers by server and by whether it leases; a reply to an own request counts instead of others."""
        grouped: dict[tuple[IPv4Address, bool], list[ServerOffer]] = {}
        for (server, leases, _), offer in self.offers.items():
            grouped.setdefault((server, leases), []).append(offer)
        return {
            key: [each for each in found if each.request is not Request.UNKNOWN] or found
            for key, found in grouped.items()
        }


def _keep(kept: dict[Key, Value], key: Key, value: Value) -> None:
    if key in kept or len(kept) < KEPT:
        kept[key] = value
