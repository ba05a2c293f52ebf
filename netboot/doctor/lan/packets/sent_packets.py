"""The packets that the doctor sends on a boot interface: DISCOVERs, ARP probes, requests to port 4011.

A DISCOVER takes no lease; the request to a boot server names no address to lease. The messages are those of
`probe.firmwares`, equal to captured ones.

RFC 2131 §4.4.1 · PXE 2.1 §2.2 · RFC 5227 §2.1.1 (the probe: from 0.0.0.0, so that no neighbour learns it).
"""

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any, Final
from uuid import UUID, uuid5

from netboot.doctor.lan.packets.server_offer import Request
from netboot.model.host.mac import Mac
from netboot.probe.firmwares.dhcp_client import MessageKind
from netboot.probe.firmwares.message_form import BROADCAST_FLAG, Values
from netboot.probe.firmwares.profiles import profile_named

TRIES: Final = 2  # of a DISCOVER without a reply
PROBES: Final = 3  # of each own address: PROBE_NUM of RFC 5227
BOOT_SERVERS: Final = 4  # that get a request to port 4011, one each

PROFILES: Final[Mapping[Request, str]] = {
    Request.BIOS: "bios",
    Request.UEFI_PXE: "edk2-pxe",
    Request.UEFI_HTTP: "edk2-http",
    Request.IPXE: "ipxe-rom",
}
CLIENTS: Final = (*PROFILES, Request.PLAIN)  # one DISCOVER as each

_OUR_PREFIX: Final = bytes.fromhex("026e62")  # locally administered; `netboot simulate` uses it too
_MACHINES: Final = UUID("6e626f6f-7400-5000-8000-646f63746f72")  # the name space of the UUIDs of option 97
_EVERYBODY: Final = "ff:ff:ff:ff:ff:ff"
_REQUESTED: Final = [1, 3, 6, 12, 15, 43, 60, 66, 67]


def own_mac(interface_mac: bytes) -> Mac:
    """Return the locally administered MAC of the requests on an interface.

    It is always the same one: repeated runs take no more than one address out of a pool for the time of an offer.
    """
    return Mac.from_bytes(_OUR_PREFIX + interface_mac[-3:])


def discover_frame(request: Request, mac: Mac, *, exchange: int, secs: int) -> bytes:
    """Write the whole frame of a DISCOVER."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    message = _plain_discover(mac, exchange, secs)
    if request in PROFILES:
        message = _message(request, MessageKind.DISCOVER, Values(mac, _uuid(mac), exchange, secs))
    udp = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
    return bytes(Ether(src=str(mac), dst=_EVERYBODY) / udp / Raw(message))


def boot_server_request(mac: Mac, *, exchange: int, address: IPv4Address) -> bytes:
    """Write the DHCP message of a UEFI firmware's request to port 4011, from an address of this interface."""
    return _message(Request.UEFI_PXE, MessageKind.BOOT_REQUEST, Values(mac, _uuid(mac), exchange, ciaddr=address))


def arp_probe(address: IPv4Address, mac: bytes) -> bytes:
    """Write the frame of an ARP probe for an address, from the MAC of the interface."""
    from scapy.layers.l2 import ARP, Ether

    shown = mac.hex(":")
    return bytes(Ether(src=shown, dst=_EVERYBODY) / ARP(op=1, hwsrc=shown, psrc="0.0.0.0", pdst=str(address)))


def _message(request: Request, kind: MessageKind, values: Values) -> bytes:
    return profile_named(PROFILES[request]).message(kind, values)


def _plain_discover(mac: Mac, exchange: int, secs: int) -> bytes:
    """Write the DISCOVER of a client that requests a boot file without option 60, as U-Boot and operating systems."""
    from scapy.layers.dhcp import BOOTP, DHCP

    chaddr = bytes.fromhex(mac.replace(":", "")) + bytes(10)
    options: list[Any] = [("message-type", "discover"), ("param_req_list", _REQUESTED), "end"]
    return bytes(BOOTP(op=1, xid=exchange, secs=secs, flags=BROADCAST_FLAG, chaddr=chaddr) / DHCP(options=options))


def _uuid(mac: Mac) -> UUID:
    return uuid5(_MACHINES, mac)
