"""A machine as its packets showed it, registered or not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address

from netboot.model.host.mac import Mac


@dataclass(frozen=True, slots=True)
class Machine:
    """One MAC that requested a boot or an address. `addresses`: oldest first."""

    mac: Mac
    first_seen: datetime
    last_seen: datetime
    arch: str | None = None
    vendor_class: str | None = None
    uuid: str | None = None
    addresses: tuple[IPv4Address, ...] = ()
    variants: Mapping[str, str] = field(default_factory=dict)  # `BootVariant`s that worked, by `BootClient.firmware`

    def requested_boot(self, at: datetime, arch: str, vendor_class: str, uuid: str | None) -> "Machine":
        """Return this machine after a boot request that shows this of it."""
        # dataclasses.replace takes three times as long
        return Machine(self.mac, self.first_seen, at, arch, vendor_class, uuid, self.addresses, self.variants)
