"""Golden files of every network form, role and release: kernel lines, Kickstart commands, and files of the overlay."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface
from typing import Final
from urllib.parse import unquote

import pytest

from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.host_network import Bond, HostNetwork, Route
from netboot.model.host.mac import Mac
from netboot.model.release import RemoteRelease
from netboot.render import kernel_line
from netboot.render.ignition import overlay
from netboot.render.kickstart import kickstart
from netboot.render.template_engine import Engine

STATIC: Final = HostNetwork(
    address=IPv4Interface("192.0.2.101/24"),
    gateway=IPv4Address("192.0.2.1"),
    nameservers=(IPv4Address("192.0.2.2"), IPv6Address("2001:db8::2")),
    interface="enp1s0",
)
FORMS: Final = {
    "dhcp": HostNetwork(),
    "static": STATIC,
    "dual-stack": replace(
        STATIC,
        address6=IPv6Interface("2001:db8::101/64"),
        gateway6=IPv6Address("fe80::1"),
        search=("rack.example.org",),
        mtu_bytes=9000,
        routes=(Route(IPv4Network("198.51.100.0/24"), IPv4Address("192.0.2.254")),),
    ),
    "vlan": replace(STATIC, vlan=120),
    "bond": replace(STATIC, interface=None, bond=Bond("802.3ad", {"miimon": "100", "lacp_rate": "fast"})),
    "bond-vlan": replace(STATIC, interface="team0", bond=Bond("active-backup"), vlan=7),
}
RELEASES: Final = {
    "own": "ock-1.33-amd64",
    "remote": RemoteRelease("http://ostree.example.org/repo", "ock"),
}
MACS: Final = (Mac.parse("52:54:00:aa:bb:02"), Mac.parse("52:54:00:aa:bb:12"))
DOCUMENT: Final = {"base_url": "http://192.0.2.10:8080", "ignition_token": "i" * 32}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("form", FORMS)
def test_the_documents_of_every_form(
    form: str, role: Role, release: str, engine: Engine, golden: Callable[[str, str], None]
):
    host = Host(
        name=HostName("node1"),
        role=role,
        macs=MACS,
        boot_media="ol9u6-x86_64",
        release=RELEASES[release],
        disk="/dev/disk/by-path/pci-0000:03:00.0-ata-1",
        ntp=("192.0.2.3",),
        network=FORMS[form],
    )

    golden(f"forms/{form}-{role}-{release}.txt", "\n".join(sections(host, engine)) + "\n")


def sections(host: Host, engine: Engine) -> Iterator[str]:
    base_url, mac = DOCUMENT["base_url"], host.mac
    yield "== kernel line of the installer"
    yield from kernel_line.installer(host, mac=mac, base_url=base_url, kickstart_token="k" * 32)
    yield "== kernel line of the installed system"
    yield from kernel_line.installed(host, mac=mac, **DOCUMENT)
    yield "== commands of the Kickstart"
    yield from commands(kickstart(engine, host, mac=mac, report_token="r" * 32, **DOCUMENT))
    document = json.loads(overlay(engine, host, version="3.4.0", ready_url=f"{base_url}/r", mac=mac))
    for file in document["storage"]["files"]:
        yield f"== {file['path']} {file['mode']:04o}"
        yield unquote(file["contents"]["source"].removeprefix("data:,")).rstrip("\n")


def commands(document: str) -> Iterator[str]:
    """Yield the lines outside scripts: no comment, no empty line."""
    is_script = False
    for line in document.splitlines():
        is_script = is_script or line.startswith(("%pre", "%post", "%onerror"))
        if line and not is_script and not line.startswith("#"):
            yield line
        is_script = is_script and line != "%end"
