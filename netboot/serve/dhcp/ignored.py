"""Counts each DHCP message that gets no reply and logs it at level debug; counter and log line have the same reason.

If an operator can remove the cause, an event with the host's name is recorded as well.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Final

import structlog

from netboot.boot.offers import OfferService
from netboot.model.boot.offer import IgnoreReason
from netboot.model.host.mac import Mac
from netboot.model.host.network import Interface
from netboot.model.lease import LeaseDropReason
from netboot.telemetry.metrics import Metrics
from netboot.wire.dhcp import pxe
from netboot.wire.dhcp.message import DhcpMessage
from netboot.wire.dhcp.pxe import DropReason

log = structlog.get_logger()

# The cures for a registered machine that requests a boot and gets no reply to this packet.
PACKET_CURES: Final[Mapping[DropReason | LeaseDropReason | IgnoreReason, str]] = {
    DropReason.NO_ARCHITECTURE: "its firmware sends no option 93, nor Arch:NNNNN in option 60; update its firmware",
    DropReason.RASPBERRY_PI_ROM: "its own boot ROM reads no boot file; boot it from an SD card with UEFI firmware",
    DropReason.NO_REPLY_VARIANT: "its firmware has no reply for this offer; choose another network boot there",
    DropReason.BOOT_FILE_TOO_LONG: "the name of its boot file has more than 255 bytes; "
    "shorten hosts.X.loader or bootfiles.loaders",
    LeaseDropReason.NO_ADDRESS_FOR_CLIENT: "it has no network.address, and dhcp.pool has no address here; give it one",
    LeaseDropReason.OTHER_NETWORK: "its network.address is not of the LAN where it requests a lease; see where it is "
    "plugged in, or correct its network.address",
    LeaseDropReason.ADDRESS_IN_USE: "another machine uses its address; netboot install watch of this host names it",
    LeaseDropReason.STORE_UNREACHABLE: "the store does not take its lease, so it is not given; see store.url, disk and "
    "database",
}


@dataclass(frozen=True, slots=True)
class IgnoredRequests:
    """The ignored requests of one port on one interface."""

    interface: Interface
    port: int
    _: KW_ONLY
    offer_service: OfferService
    counters: Metrics

    def drop(self, reason: DropReason | LeaseDropReason | IgnoreReason, message: DhcpMessage | None) -> None:
        """Count, log and record one; `message` is None if it could not be read."""
        self.counters.count("dhcp_ignored", reason=reason.value)
        mac = pxe.client_mac(message) if message is not None else None
        log.debug("dhcp.ignored", mac=mac, reason=reason.value, iface=self.interface.name, port=self.port)
        if mac is not None:
            self.record_cure(reason, mac)

    def record_cure(self, reason: DropReason | LeaseDropReason | IgnoreReason, mac: Mac) -> None:
        """Record why this machine gets no boot offer, where an operator can remove the cause."""
        cure = PACKET_CURES.get(reason)
        if cure is not None:
            self.offer_service.record_refusal(mac, reason.value, cure=cure)
