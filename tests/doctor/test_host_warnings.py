"""Accepted values that an operator is warned of, each once with the hosts that have it."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from netboot.doctor.host_warnings import host_warnings
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.host_network import HostNetwork
from netboot.model.host.mac import Mac
from netboot.settings.settings import Settings

MAC = Mac("52:54:00:aa:bb:01")
SOUND = Host(HostName("w1"), Role.WORKER, (MAC,), ntp=("192.0.2.1",), declared_at="hosts.yaml:3:3")
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
