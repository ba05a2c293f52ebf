"""What the frames of switches and routers show: spanning tree, LACP, LLDP, IPv6 router advertisements. Read by scapy.

Frames of anybody: a malformed one is None, and every text is printable and bounded.

IEEE 802.1D-2004 §9.3 (BPDUs; §9.3.3 for the flags of RSTP) · 802.1AX §6.4.2 (LACPDU) · 802.1AB §8 (LLDP) ·
RFC 4861 §4.2 (router advertisements). Cisco sends the BPDUs of each VLAN with a SNAP header (PVST+).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from netboot.model.words import printable_line

LONGEST_NAME: Final = 64
_PVST: Final = (0x00000C, 0x010B)
_STP_SAP: Final = 0x42
_TCN: Final = 0x80  # the type of a BPDU that only notifies of a change
_RSTP: Final = 2  # the least version whose flags have a state
_LEARNING, _FORWARDING = 0x10, 0x20
_DOT1: Final = 0x0080C2
_PORT_VLAN: Final = 1  # subtype


class PortState(StrEnum):
    """The state of the switch's port, as its BPDU has it."""

    UNKNOWN = "unknown"  # 802.1D before RSTP: the BPDU does not have it
    DISCARDING = "discarding"
    LEARNING = "learning"
    FORWARDING = "forwarding"


@dataclass(frozen=True, slots=True)
class Bpdu:
    """One BPDU with a configuration, the timers of the tree's root in it."""

    bridge: str
    root: str
    version: int
    state: PortState
    hello_s: float
    max_age_s: float
    forward_delay_s: float

    @property
    def is_rapid(self) -> bool:
        """Return whether it is RSTP or MSTP."""
        return self.version >= _RSTP


@dataclass(frozen=True, slots=True)
class LacpPartner:
    """The switch that sends LACP: its system's MAC, and the number of its port."""

    system: str
    port: int


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """The port that LLDP names. `vlan`: of its untagged frames."""

    chassis: str
    name: str
    port: str
    description: str
    vlan: int | None


@dataclass(frozen=True, slots=True)
class RouterAdvertisement:
    """One IPv6 router. `is_managed`: addresses are from DHCPv6; `has_other`: other values are."""

    router: str
    mac: str
    is_managed: bool
    has_other: bool
    prefixes: tuple[str, ...]


SwitchFrame = Bpdu | LacpPartner | SwitchPort | RouterAdvertisement


def read_switch_frame(frame: Any) -> SwitchFrame | None:
    """Read a frame that scapy dissected; None if it is none of these."""
    from scapy.contrib.lacp import LACP  # registers it, as LLDP below, with Ethernet
    from scapy.contrib.lldp import LLDPDU
    from scapy.layers.inet6 import ICMPv6ND_RA

    if LACP in frame:
        return LacpPartner(str(frame[LACP].actor_system), int(frame[LACP].actor_port_number))
    if LLDPDU in frame:
        return _switch_port(frame)
    if ICMPv6ND_RA in frame:
        return _router(frame)
    return _bpdu(frame)


def _bpdu(frame: Any) -> Bpdu | None:
    from scapy.layers.l2 import LLC, SNAP, STP

    if LLC not in frame or STP not in frame:
        return None
    is_pvst = SNAP in frame and (int(frame[SNAP].OUI), int(frame[SNAP].code)) == _PVST
    stp = frame[STP]
    if (frame[LLC].dsap != _STP_SAP and not is_pvst) or stp.bpdutype == _TCN:
        return None
    version, flags = int(stp.version), int(stp.bpduflags)
    state = PortState.UNKNOWN
    if version >= _RSTP:
        learns = PortState.LEARNING if flags & _LEARNING else PortState.DISCARDING
        state = PortState.FORWARDING if flags & _FORWARDING else learns
    return Bpdu(
        bridge=str(stp.bridgemac),
        root=str(stp.rootmac),
        version=version,
        state=state,
        hello_s=float(stp.hellotime),
        max_age_s=float(stp.maxage),
        forward_delay_s=float(stp.fwddelay),
    )


def _switch_port(frame: Any) -> SwitchPort:
    from scapy.contrib import lldp

    def text(layer: Any, name: str) -> str:
        return _shown(getattr(frame[layer], name)) if layer in frame else ""

    vlan = None
    if lldp.LLDPDUGenericOrganisationSpecific in frame:
        specific = frame[lldp.LLDPDUGenericOrganisationSpecific]
        data = bytes(specific.data)
        if (int(specific.org_code), int(specific.subtype)) == (_DOT1, _PORT_VLAN) and len(data) == 2:
            vlan = int.from_bytes(data, "big") or None
    return SwitchPort(
        chassis=text(lldp.LLDPDUChassisID, "id"),
        name=text(lldp.LLDPDUSystemName, "system_name"),
        port=text(lldp.LLDPDUPortID, "id"),
        description=text(lldp.LLDPDUPortDescription, "description"),
        vlan=vlan,
    )


def _router(frame: Any) -> RouterAdvertisement:
    from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptPrefixInfo, IPv6

    advertised, prefixes, layer = frame[ICMPv6ND_RA], [], frame[ICMPv6ND_RA].payload
    while layer:
        if isinstance(layer, ICMPv6NDOptPrefixInfo):
            prefixes.append(f"{layer.prefix}/{layer.prefixlen}")
        layer = layer.payload
    return RouterAdvertisement(
        router=str(frame[IPv6].src),
        mac=str(frame.src),
        is_managed=bool(advertised.M),
        has_other=bool(advertised.O),
        prefixes=tuple(prefixes[:4]),
    )


def _shown(value: Any) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return printable_line(text, longest=LONGEST_NAME)
