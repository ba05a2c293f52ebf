"""Checks interfaces, addresses and ports of this appliance before the daemon starts.

Opens each port briefly if no daemon runs, as the daemon will; if one runs, its own problems are reported.
"""

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from pyroute2 import AsyncIPRoute

from netboot.doctor.configuration.check_report import CheckReport
from netboot.model.admin_listen import plan_listeners
from netboot.model.host.network import DhcpListen, DhcpMode, choose_address
from netboot.serve.net.links import Link, read_links
from netboot.serve.net.port_holders import holders, shadow_problems
from netboot.settings.settings import BootInterface, Settings

_MOST_SOCKET_PATH: Final = 107  # unix(7): sun_path has 108 bytes with the zero at its end

Links = Mapping[str, Link]


async def links_here() -> Links:
    async with AsyncIPRoute() as netlink:
        await netlink.bind()
        return await read_links(netlink)


def check_box(settings: Settings, links: Links, *, daemon_runs: bool) -> CheckReport:
    """Check the interfaces, addresses and ports that the settings name. `links` are those of this appliance."""
    report = CheckReport()
    served: dict[str, IPv4Address] = {}
    for index, wanted in enumerate(settings.network.interfaces):
        address = _check_interface(wanted, f"network.interfaces[{index}]", links, report)
        if address is None:
            continue
        served[wanted.name] = address
        if wanted.advertise is None and settings.http.listen and address not in settings.http.listen:
            report.warnings.append(
                f"http.listen: machines on {wanted.name} are sent to {address}, which is not listened on; "
                f"add it, or set network.interfaces[{index}].advertise"
            )
    ours = {each.address.ip for link in links.values() for each in link.addresses}
    for address in settings.http.listen:
        if address not in ours:
            what = f"no interface of this appliance has {address}; it has {', '.join(sorted(map(str, ours)))}"
            report.problems.append(f"http.listen: {what}; give it to one, or correct it")
    answering = [each.address.ip for name in served for each in links[name].addresses]
    report.problems.extend(shadow_problems(settings.tftp.port, answering, what="TFTP requests"))
    if settings.dhcp.mode is DhcpMode.OFF:
        report.warnings.append(
            "dhcp.mode is off, so no machine is offered anything; the LAN's own DHCP server has to name this appliance"
        )
    else:
        what = "the boot requests of UEFI firmware"
        report.problems.extend(shadow_problems(settings.dhcp.pxe_port, answering, what=what))
    report.problems.extend(_socket_problems(settings.admin.socket))
    if not daemon_runs:
        for port in _ports(settings, served, links):
            _check_port(port, report)
    return report


def _check_interface(wanted: BootInterface, where: str, links: Links, report: CheckReport) -> IPv4Address | None:
    if wanted.name not in links:
        what = f"this appliance has no interface {wanted.name}; it has {', '.join(sorted(links)) or 'none'}"
        report.problems.append(f"{where}: {what}; correct the name")
        return None
    link = links[wanted.name]
    found = link.addresses
    listed = ", ".join(str(each.address) for each in found)
    if not found:
        report.problems.append(f"{where}: {wanted.name} has no IPv4 address; give it one on the boot LAN")
        return None
    address = choose_address(found, wanted.address)
    if address not in [each.address.ip for each in found]:
        report.problems.append(f"{where}: {wanted.name} has no address {address}; it has {listed}; correct address")
        return None
    if len(found) > 1 and wanted.address is None:
        report.warnings.append(
            f"{where}: {wanted.name} has {listed}; machines are answered from {address}; "
            f"write {{name: {wanted.name}, address: …}} to choose another"
        )
    if not link.is_up:
        report.problems.append(f"{where}: {wanted.name} is down; ip link set {wanted.name} up")
    elif not link.has_carrier:
        report.warnings.append(f"{where}: {wanted.name} has no carrier; check its cable and switch")
    return address


def _socket_problems(path: Path) -> Iterator[str]:
    size = len(os.fsencode(path))
    if size > _MOST_SOCKET_PATH:
        yield (
            f"admin.socket: {path} has {size} bytes, and a Unix socket's path has at most {_MOST_SOCKET_PATH}; "
            "choose a shorter path"
        )
        return
    with suppress(OSError):  # no right to its directory: `check_access` reports that
        if path.exists() and not path.is_socket():
            yield f"admin.socket: {path} is not a socket; remove it, or choose another path"


@dataclass(frozen=True, slots=True)
class _Port:
    """One port that the daemon opens: UDP on `device`, or TCP on `address` if there is none."""

    setting: str
    number: int
    address: str = "0.0.0.0"
    device: str = ""
    cure: str = "give one of the two another port"


def _ports(settings: Settings, served: Mapping[str, IPv4Address], links: Links) -> Iterator[_Port]:
    here = {each.address.ip for link in links.values() for each in link.addresses}
    dhcp = settings.dhcp
    for device in served:
        yield _Port("tftp.port", settings.tftp.port, device=device)
        if dhcp.mode is not DhcpMode.OFF and dhcp.listen is DhcpListen.UDP:
            cure = "dhcp.listen: packet answers beside a DHCP server that has the port"
            yield _Port("dhcp.port", dhcp.port, device=device, cure=cure)
            yield _Port("dhcp.pxe_port", dhcp.pxe_port, device=device)
        if settings.logs.port:
            yield _Port("logs.listen", settings.logs.port, device=device)
            yield _Port("logs.listen", settings.logs.port, str(served[device]))
    for address in [each for each in settings.http.listen if each in here] or served.values():
        yield _Port("http.port", settings.http.port, str(address))
        if settings.registry.tls_port:
            yield _Port("registry.tls_port", settings.registry.tls_port, str(address))
    for address, number in _admin_ports(settings, links):
        yield _Port("admin.listen", number, str(address))


def _admin_ports(settings: Settings, links: Links) -> Iterator[tuple[IPv4Address, int]]:
    """Yield the IPv4 addresses of this appliance on which the administration listens, with the port."""
    here = {name: [each.address.ip for each in link.addresses] for name, link in links.items()}
    boot_interfaces = [each.name for each in settings.network.interfaces]
    listen = settings.admin.listen
    for planned in plan_listeners(listen, here, boot_interfaces=boot_interfaces, without_tls=None):
        for each in planned.addresses:
            is_here = each.address.is_loopback or any(each.address in found for found in here.values())
            if isinstance(each.address, IPv4Address) and is_here:
                yield each.address, each.port


def _check_port(port: _Port, report: CheckReport) -> None:
    """Open a port as the daemon does, and close it at once."""
    kind, protocol = (socket.SOCK_DGRAM, "udp") if port.device else (socket.SOCK_STREAM, "tcp")
    what = f"{protocol.upper()} port {port.number}"
    with socket.socket(socket.AF_INET, kind) as bound:
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port.device:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, port.device.encode() + b"\0")
            bound.bind((port.address, port.number))
            if not port.device:
                bound.listen()
        except PermissionError:
            report.notes.append(f"not checked: whether {what} ({port.setting}) is free")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                report.problems.append(f"{port.setting}: cannot open {what}: {error.strerror}")
                return
            programs = {program for _, program in holders(protocol, port.number)} or {"another program"}
            names = " and ".join(sorted(programs))
            where = port.device or port.address
            report.problems.append(f"{port.setting}: {what} on {where} is in use by {names}; stop it, or {port.cure}")
