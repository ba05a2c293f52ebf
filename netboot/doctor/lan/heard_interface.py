"""One examined interface: what was heard on it, how, and what the appliance is there. The input of every finding."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.doctor.lan.heard_lan import HeardLan
from netboot.model.boot.other_server import Here


@dataclass(frozen=True, slots=True)
class CarrierTimes:
    """The carrier of the link while it was listened on. Times are on the loop's clock, as those of frames."""

    up_at_s: float | None  # when the carrier came back; None: it was there before
    changes_before: int  # since the interface exists
    changes_after: int


@dataclass(frozen=True, slots=True)
class HeardInterface:
    """`served`: every interface that is examined. `boot_servers`: those that got a request to port 4011."""

    name: str
    kind: str  # of the link: bond, vlan, bridge; empty: a card
    heard: HeardLan
    here: Here
    own_macs: Mapping[str, str]  # the name of the interface of each MAC of this appliance
    served: Collection[str]
    seconds: float
    sends: bool
    carrier: CarrierTimes
    port_67_holder: str | None  # another program of this appliance that holds it
    boot_servers: Mapping[IPv4Address, str | None]  # the boot file that port 4011 names; None: it did not reply
