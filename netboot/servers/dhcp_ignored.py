"""What a DHCP door does not answer: one counter and one debug line each, with the same word for the reason.

One kind of silence a person can end: a machine of an architecture that nothing here boots. It is told once for each
architecture, so that no flood fills the log.
"""

from collections.abc import Mapping
from typing import Final, Protocol

import structlog

from netboot.model.lease import LeaseSilence
from netboot.model.mac import Mac
from netboot.model.network import Interface
from netboot.model.offer import IgnoreReason
from netboot.proto import pxe
from netboot.proto.dhcp import DhcpMessage
from netboot.proto.pxe import Silence
from netboot.servers.udp import Counters

log = structlog.get_logger()

REFUSALS_TOLD: Final = 32  # architectures; the number is a stranger's, so the list has an end

_ARCHITECTURE_CURES: Final[Mapping[Silence | LeaseSilence | IgnoreReason, str]] = {
    Silence.UNKNOWN_ARCHITECTURE: "choose another network boot in its firmware: nothing is made for this one",
    IgnoreReason.NO_LOADER_FOR_ARCH: "put its loader below one of bootfiles.directories",
    IgnoreReason.LOADER_FOR_ANOTHER_CPU: "correct the loader that its hosts entry names: it is for another CPU",
}
# What a person can end of a registered machine that gets no answer: why, and how. Its loader is the offer desk's.
_FAULTS_OF_HOSTS: Final[Mapping[Silence | LeaseSilence | IgnoreReason, tuple[str, str]]] = {
    Silence.UNKNOWN_ARCHITECTURE: (
        "nothing is made for the architecture of its firmware",
        "choose another network boot in its firmware",
    ),
    Silence.NO_ARCHITECTURE: (
        "its firmware does not state its architecture (options 93 and 60)",
        "update its firmware",
    ),
    Silence.RASPBERRY_PI_ROM: (
        "the boot ROM of a Raspberry Pi reads no boot file",
        "boot it from an SD card with UEFI firmware",
    ),
    Silence.NO_REPLY_SHAPE: (
        "its firmware has no reply that says what it should be told",
        "choose PXE or HTTP boot in its firmware, see docs/firmware.md",
    ),
    Silence.BOOT_FILE_TOO_LONG: ("its boot file's name or URL has more than 255 bytes", "shorten hosts.X.loader"),
    Silence.SIGNED_BOOT_ITEM: ("it requests a signature list, which nothing makes", "switch that off in its firmware"),
    Silence.BOGUS_RELAY: ("its request came by a relay that claims to be this server", "look for a loop of relays"),
    LeaseSilence.NO_ADDRESS_FOR_CLIENT: (
        "it has no network.address, and dhcp.pool has no address here",
        "set its network.address, or a dhcp.pool",
    ),
    LeaseSilence.POOL_EXHAUSTED: ("every address of dhcp.pool is taken", "widen dhcp.pool, or set its network.address"),
    LeaseSilence.OTHER_NETWORK: (
        "its network.address is not of the LAN where it requests a lease",
        "see where the machine is plugged in, or correct its network.address",
    ),
    LeaseSilence.ADDRESS_IN_USE: (
        "another machine uses its address",
        "find that machine: netboot install watch of this host names it",
    ),
    LeaseSilence.LEDGER_UNREACHABLE: (
        "its lease cannot be recorded, so it is not given",
        "see store.url, disk and database",
    ),
}


class Desk(Protocol):
    """Who records what happens to registered machines."""

    def record_refused(self, mac: Mac, reason: str, *, why: str, cure: str) -> None:
        """Record why a machine gets no answer, if it is registered."""


class IgnoredQuestions:
    """Those of one port on one interface."""

    def __init__(self, interface: Interface, port: int, *, desk: Desk, counters: Counters) -> None:
        self._desk = desk
        self._interface = interface
        self._port = port
        self._counters = counters
        self._refused: set[int] = set()

    def take(self, reason: Silence | LeaseSilence | IgnoreReason, message: DhcpMessage | None) -> None:
        """Count and log one; `message` is None where it could not be read."""
        self._counters.count("dhcp_ignored", reason=reason.value)
        if message is not None:
            self.record_fault(reason, message)
        log.debug(
            "dhcp.ignored",
            mac=message and pxe.client_mac(message),
            reason=reason.value,
            iface=self._interface.name,
            port=self._port,
        )

    def record_fault(self, reason: Silence | LeaseSilence | IgnoreReason, message: DhcpMessage) -> None:
        """Record a reason that a person can end: for its registered machine, and once for each architecture."""
        self._tell_of_architecture(reason, message)
        fault = _FAULTS_OF_HOSTS.get(reason)
        mac = pxe.client_mac(message) if fault is not None else None
        if fault is not None and mac is not None:
            why, cure = fault
            self._desk.record_refused(mac, reason.value, why=why, cure=cure)

    def _tell_of_architecture(self, reason: Silence | LeaseSilence | IgnoreReason, message: DhcpMessage) -> None:
        number = pxe.architecture(message) if reason in _ARCHITECTURE_CURES else None
        if number is None or number in self._refused or len(self._refused) >= REFUSALS_TOLD:
            return
        self._refused.add(number)
        log.warning(
            "dhcp.architecture_refused",
            mac=pxe.client_mac(message),
            architecture=number,
            reason=reason.value,
            cure=_ARCHITECTURE_CURES[reason],
            iface=self._interface.name,
        )
