"""The NetworkManager connections of an installed host, one keyfile each: its card, or bond, ports and VLAN. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from uuid import NAMESPACE_DNS, uuid5

from netboot.model.host.host import Host
from netboot.model.host.host_network import HostNetwork
from netboot.model.host.mac import Mac

_NAME: Final = "netboot"  # of a connection whose device is not named


class ConnectionType(StrEnum):
    """NetworkManager's `connection.type`."""

    ETHERNET = "ethernet"
    INFINIBAND = "infiniband"
    BOND = "bond"
    VLAN = "vlan"


@dataclass(frozen=True, slots=True)
class Connection:
    """One keyfile. `interface` and `mac` select the device; without both, any card fits."""

    name: str
    type: ConnectionType
    interface: str | None = None
    mac: Mac | None = None
    uuid: str | None = None  # if a VLAN names it as its parent
    controller: str | None = None  # the bond of a port
    parent: str | None = None  # the connection below a VLAN, by name of its device or by UUID
    has_addresses: bool = True


def connections(host: Host, mac: Mac | None) -> list[Connection]:
    """List the connections of a host that boots from card `mac`; None if it is not known."""
    network = host.network
    below = _bonded(host, network) if network.bond is not None else [_card(host, network, mac)]
    if network.vlan is None:
        return below
    *ports, carrier = below
    uuid = str(uuid5(NAMESPACE_DNS, f"{host.name}/{carrier.name}"))
    vlan = Connection(
        str(network.device), ConnectionType.VLAN, interface=network.device, parent=carrier.interface or uuid
    )
    return [*ports, replace(carrier, has_addresses=False, uuid=uuid), vlan]


def _card(host: Host, network: HostNetwork, mac: Mac | None) -> Connection:
    """Select the card by its name; without one by its MAC, unless a machine by DHCP may use any of several cards."""
    is_infiniband = (mac or host.mac).is_infiniband
    is_one_card = network.address is not None or network.vlan is not None or len(host.macs) == 1
    return Connection(
        network.interface or _NAME,
        ConnectionType.INFINIBAND if is_infiniband else ConnectionType.ETHERNET,
        interface=network.interface,
        mac=None if network.interface or is_infiniband else mac or (host.mac if is_one_card else None),
    )


def _bonded(host: Host, network: HostNetwork) -> list[Connection]:
    bond = str(network.carrier)
    ports = [
        Connection(f"{bond}-port{number}", ConnectionType.ETHERNET, mac=each, controller=bond, has_addresses=False)
        for number, each in enumerate(host.macs)
    ]
    return [*ports, Connection(bond, ConnectionType.BOND, interface=bond)]
