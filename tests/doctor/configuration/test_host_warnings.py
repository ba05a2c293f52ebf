"""Accepted values that an operator is warned of, each once with the hosts that have it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from netboot.doctor.configuration.host_warnings import anchor_warnings, embedded_warnings, host_warnings
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.host_network import HostNetwork
from netboot.model.host.image_trust import CaAnchor
from netboot.model.host.mac import Mac
from netboot.settings.settings import Settings

MAC = Mac("52:54:00:aa:bb:01")
SOUND = Host(HostName("w1"), Role.WORKER, (MAC,), ntp=("192.0.2.1",), declared_at="hosts.yaml:3:3")
SOURCES = {"a": "https://user:secret@files.example.com/a", "b": "tftp://192.0.2.7/b", "c": "data:,c"}
STATIC = HostNetwork(IPv4Interface("192.0.2.101/24"), IPv4Address("192.0.2.1"))


def test_a_host_by_dhcp_with_a_time_server_and_one_with_a_gateway_have_no_warning():
    hosts = [SOUND, replace(SOUND, network=STATIC, kernel_arguments=("mem=4G", "vga=791", "console=ttyS0"))]

    assert host_warnings(hosts, Settings()) == []


def test_hosts_without_time_server_or_gateway_share_a_warning():
    without = replace(SOUND, ntp=(), network=replace(STATIC, gateway=None))
    others = [replace(without, name=HostName(name)) for name in ("w2", "w3")]

    assert host_warnings([without, *others], Settings()) == [
        "hosts.yaml:3:3: hosts.w1.network: a static address without gateway reaches only its own network; "
        "set network.gateway, unless the node needs nothing outside (also w2, w3)",
        "hosts.yaml:3:3: hosts.w1: no ntp: a node whose clock is wrong cannot join the cluster; "
        "set defaults.ntp to the time servers of your LAN (also w2, w3)",
    ]


@pytest.mark.parametrize(("argument", "word"), [("hugemem=1", "mem"), ("a.vga=ask", "vga"), ("crashmem=2mem=3", "mem")])
def test_a_kernel_argument_that_ipxe_takes_for_another_is_a_warning(argument: str, word: str):
    host = replace(SOUND, kernel_arguments=("quiet", argument))

    assert host_warnings([host], Settings()) == [
        f"hosts.yaml:3:3: hosts.w1.kernel_arguments: on a BIOS machine, older iPXE reads {word}= in {argument} "
        f"as the kernel's own {word}=; leave it out, unless the machine boots by UEFI"
    ]


def test_a_certificate_that_ends_within_30_days_has_ended_or_is_of_no_ca_is_a_warning():
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    ends = {"sound": timedelta(days=31), "soon": timedelta(days=29), "ended": timedelta(seconds=-1)}
    anchors = [CaAnchor(Path(name), "", now + after) for name, after in ends.items()]
    host = replace(SOUND, ca_anchors=(*anchors, CaAnchor(Path("leaf"), "")))

    assert anchor_warnings([host, replace(host, name=HostName("w2"))], now) == [
        "hosts.yaml:3:3: hosts.w1.ca_anchors: a CA certificate of soon ends on 2026-12-28; "
        "replace it, then netboot reload (also w2)",
        "hosts.yaml:3:3: hosts.w1.ca_anchors: a CA certificate of ended ended on 2026-11-29; "
        "replace it, then netboot reload (also w2)",
        "hosts.yaml:3:3: hosts.w1.ca_anchors: leaf has no certificate of a CA, so it verifies no other; "
        "name the certificate of the CA that signed it (also w2)",
    ]


def test_an_embedded_file_that_fetches_more_is_a_warning_with_the_servers(tmp_path: Path):
    file, plain = tmp_path / "worker.ign", tmp_path / "plain.ign"
    files = [{"path": f"/opt/{name}", "contents": {"source": url}} for name, url in SOURCES.items()]
    file.write_text(json.dumps({"ignition": {"version": "3.4.0"}, "storage": {"files": files}}))
    plain.write_text('{"ignition": {"version": "3.4.0"}}')
    others = [replace(SOUND, name=HostName("w2"), ignition=file), replace(SOUND, name=HostName("w3"), ignition=plain)]

    assert embedded_warnings([replace(SOUND, ignition=file), *others, replace(SOUND, ignition=tmp_path / "none")]) == [
        f"hosts.yaml:3:3: hosts.w1.ignition: install.ignition is embed, and {file} fetches from "
        "https://files.example.com, tftp://192.0.2.7 at the first boot; put the contents into the file, "
        "unless that server is always reached (also w2)"
    ]
