"""Checks what else runs on this computer: programs on our ports, and networks of containers and virtual machines."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Final

from netboot.doctor.box.box_inputs import BoxInputs
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.model.host.network import DhcpMode
from netboot.serve.net.port_holders import holders

_PORTS: Final = "box.ports"
_NETWORKS: Final = "box.networks"
_PROCESS: Final = re.compile(r"\(process (\d+)\)$")
_RUNTIMES: Final = {
    "docker": 'set "default-address-pools" and "bip" in /etc/docker/daemon.json, then systemctl restart docker',
    "br-": "docker network rm NETWORK, and make it again with another --subnet",
    "cni": "change the subnet in /etc/cni/net.d, then ip link delete {name}",
    "podman": "podman network rm NETWORK, and make it again with another --subnet",
    "virbr": "virsh net-edit NETWORK, change the address, then virsh net-destroy and net-start NETWORK",
    "lxdbr": "lxc network set {name} ipv4.address OTHER",
    "flannel": "change the pod subnet of the cluster",
}
_OTHER: Final = "give one of the two another network: ip address show dev {name}"


def check_ports(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Name each other program with a socket on one of our UDP ports; `box.listening` has those that stop the daemon."""
    settings = given.settings
    served = {address.ip: name for name, address in given.served().items()}
    ports = {settings.tftp.port: "TFTP"}
    if settings.dhcp.mode is not DhcpMode.OFF:
        ports |= {settings.dhcp.port: "DHCP", settings.dhcp.pxe_port: "the boot requests of UEFI firmware"}
    for port, what in ports.items():
        for address, program in holders("udp", port):
            found = _PROCESS.search(program)
            if found is not None and int(found[1]) == given.daemon_process:
                continue
            if given.daemon_runs and given.daemon_process is None:
                continue  # it may be the daemon's
            if port == settings.dhcp.port and address in served:
                yield _takes_relayed(port, address, program)
            elif address not in served and not address.is_unspecified:
                sentence = f"{program} has UDP port {port} ({what}) on {address}, where no machine boots"
                yield DoctorFinding(_PORTS, Level.NOTE, sentence, (f"udp {address}:{port} {program}",))


def _takes_relayed(port: int, address: IPv4Address, program: str) -> DoctorFinding:
    return DoctorFinding(
        _PORTS,
        Level.WARNING,
        f"{program} has a socket on {address}, UDP port {port}: it gets what relays send there, and netboot does not",
        (f"udp {address}:{port} {program}",),
        f"stop it (ss -lunp 'sport = :{port}' names it), or set dhcp.listen: packet",
    )


def check_networks(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Report a network of containers or virtual machines that overlaps a boot LAN: answers would go into it."""
    for served, address in given.served().items():
        for name, link in sorted(given.links.items()):
            for other in link.addresses:
                network = other.address.network
                if name == served or network == address.network or network.prefixlen == 32:
                    continue  # the same network twice: `box.routing`
                if network.overlaps(address.network):
                    is_smaller = network.prefixlen > address.network.prefixlen
                    yield DoctorFinding(
                        _NETWORKS,
                        Level.PROBLEM if is_smaller else Level.WARNING,
                        f"the network {network} of {name} overlaps {address.network}, the boot LAN on {served}: "
                        f"answers to machines with such an address go to {name if is_smaller else served}",
                        (f"{name}: inet {other.address}", f"{served}: inet {address}"),
                        _cure(name),
                    )


def _cure(name: str) -> str:
    found = next((cure for prefix, cure in _RUNTIMES.items() if name.startswith(prefix)), _OTHER)
    return found.replace("{name}", name)
