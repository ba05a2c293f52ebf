"""At which address of this appliance the firmware of a host fetches its loader: that on the LAN of the host. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.model.boot.boot_client import Machine
from netboot.model.host.host import Host
from netboot.model.host.network import Interface


@dataclass(frozen=True, slots=True)
class NoBootUri:
    """Why a host gets no boot URL in its firmware, and what to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class BootLans:
    """The interfaces that are served now. `wanted`: the names of all that the settings have; `port`: of HTTP."""

    served: Sequence[Interface]
    wanted: Sequence[str]
    port: int


def address_for(host: Host, machines: Sequence[Machine], lans: BootLans) -> IPv4Address | NoBootUri:
    """Return the address of this appliance on the LAN of a host; `machines`: what is known of its cards.

    Of several LANs it is the one of the host's own address, declared or of a pool; else of the address that its machine
    used last.
    """
    why = f"the URL for the firmware of {host.name} is not known"
    if not lans.served:
        now = "this appliance serves no interface of the boot LAN now"
        return NoBootUri(f"{now}, so that {why}; see netboot check, and network.interfaces")
    if len(lans.wanted) == 1:
        return lans.served[0].advertise or lans.served[0].address  # also of a LAN behind a relay
    names, declared = ", ".join(lans.wanted), host.network.address
    cure = f"hosts.{host.name}.network.address or network.pool, or bmc.network_boot: pxe"
    own = declared.ip if declared is not None else _used_last(machines)
    if own is None:
        return NoBootUri(f"{why}: {host.name} is on the LAN of one of {names}, and it has no address; set {cure}")
    for interface in lans.served:
        if any(own in network for network in interface.networks):
            return interface.advertise or interface.address
    return NoBootUri(
        f"{why}: its address {own} is on no LAN of {names} that is served now; see netboot check, or correct {cure}"
    )


def _used_last(machines: Sequence[Machine]) -> IPv4Address | None:
    seen = max((each for each in machines if each.addresses), key=lambda each: each.last_seen, default=None)
    return seen.addresses[-1] if seen is not None else None
