"""Checks values against each other: cards and addresses of two hosts, gateways, the host that starts the cluster, and
the Ignition files of roles."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Interface

from netboot.model.host.host import HostName, Role
from netboot.model.host.mac import Mac
from netboot.registry.ignition_files import IgnitionFiles, IgnitionUse
from netboot.registry.merge import HostEntry, HostLayer
from netboot.yamlfile.faults import did_you_mean, shown
from netboot.yamlfile.given import Given, Said
from netboot.yamlfile.nodes import Scalar

Entries = Mapping[HostName, HostEntry]
Applied = Mapping[HostName, HostLayer]


def check_macs(entries: Entries) -> None:
    """Refuse a card that two hosts claim, or one host twice."""
    owners: dict[Mac, tuple[HostName, Given]] = {}
    for name, entry in entries.items():
        for said in entry.macs:
            owner, first = owners.setdefault(said.value, (name, said.given))
            if first is not said.given:
                whose = "is listed already" if owner == name else f"belongs to {owner} already"
                cure = "list it once" if owner == name else "give each NIC to one host"
                said.given.refuse(f"{said.value} {whose} ({first.place})", cure)


def check_networks(entries: Entries, applied: Applied) -> None:
    """Refuse an address of two hosts, a gateway outside the prefix, and a network without an address."""
    owners: dict[IPv4Address, tuple[HostName, Given]] = {}
    for name, entry in entries.items():
        layer = applied[name]
        if entry.network_without_address is not None:
            entry.network_without_address.refuse("has no address", "add address: 192.0.2.101/24, or remove network")
        if layer.address is None:
            continue
        address = layer.address
        owner, first = owners.setdefault(address.value.ip, (name, address.given))
        if owner != name:
            what = f"{address.value.ip} belongs to {owner} already ({first.place})"
            address.given.refuse(what, "give each host its own")
        if layer.gateway is not None:
            own = layer.gateway is entry.layer.gateway
            _check_gateway(layer.gateway, address.value, at=layer.gateway.given if own else address.given)


def _check_gateway(gateway: Said[IPv4Address], address: IPv4Interface, *, at: Given) -> None:
    network = address.network
    said = "" if at is gateway.given else f" ({gateway.given.place})"
    if gateway.value == address.ip:
        at.refuse(f"the gateway {gateway.value}{said} is the host itself", "name the router of that network")
    elif gateway.value not in network:
        at.refuse(f"the gateway {gateway.value}{said} is outside {network}", "correct the gateway or the prefix")
    elif network.prefixlen < 31 and gateway.value in (network.network_address, network.broadcast_address):
        at.refuse(f"the gateway {gateway.value}{said} is not a machine's address in {network}", "name the router")


def check_init(entries: Entries, applied: Applied, *, init: Given | None) -> None:
    """Refuse a `cluster.init` that is not a control-plane host or has no `init` file, and unused `init` files."""
    if init is None:
        _check_nobody_starts(entries, applied)
        return
    name = init.node.text if isinstance(init.node, Scalar) and not init.node.is_null else None
    if name is None:
        return
    entry = entries.get(HostName(name))
    if entry is None:
        cure = did_you_mean(name, entries) if entries else "write it below hosts"
        init.refuse(f"no host is called {shown(name)}", cure)
    elif entry.role is not None and entry.role.value is not Role.CONTROL_PLANE:
        cure = "name a control-plane host"
        init.refuse(
            f"{name} is a {entry.role.value} ({entry.role.given.place}), and the first node cannot be one", cure
        )
    elif entry.role is not None:
        layer = applied[HostName(name)]
        if layer.ignition_init is None and layer.ignition_join is not None:
            cure = f"add roles.{entry.role.value}.ignition.init, or remove cluster.init"
            init.refuse(f"{name} starts the cluster, but its role has no init Ignition", cure)


def _check_nobody_starts(entries: Entries, applied: Applied) -> None:
    for name, entry in entries.items():
        said = applied[name].ignition_init
        if entry.role and entry.role.value is Role.CONTROL_PLANE and said and said is not applied[name].ignition_join:
            said.given.refuse(
                "is for the host that starts the cluster, and none does", f"add cluster: {{init: {name}}}"
            )
            return


def check_ignition(roles: Iterable[HostLayer], applied: Applied, *, init: str | None) -> None:
    """Check every named Ignition file, and that only the first node has a file of `ocne cluster start`."""
    files = IgnitionFiles()
    for layer in (*roles, *applied.values()):
        for said in (layer.ignition_init, layer.ignition_join):
            if said is not None:
                files.use_of(said)
    reported: set[int] = set()
    for name, layer in applied.items():
        said = layer.ignition_for(is_init=name == init)
        if said is None or id(said) in reported:
            continue
        match files.use_of(said):
            case IgnitionUse.INIT if name != init:
                reported.add(id(said))
                what = f"{said.value} starts a cluster (ACTION=init), and {name} would start a second one"
                said.given.refuse(what, "give it what `ocne cluster join` printed")
            case IgnitionUse.JOIN if name == init:
                reported.add(id(said))
                what = f"{said.value} joins a cluster (ACTION=join), and {name} is to start it"
                said.given.refuse(what, "give it what `ocne cluster start` printed")
