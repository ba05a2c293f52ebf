"""A packet socket that cannot be opened."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netboot.errors import PortError
from netboot.model.host.network import Interface
from netboot.serve.net.packet_socket import PacketSocket
from netboot.telemetry.metrics import Metrics

HERE = IPv4Address("192.0.2.10")


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_interface_that_is_not_there_is_reported_with_the_cures_and_leaves_no_descriptor():
    before = open_descriptors()

    with pytest.raises(PortError) as raised:
        PacketSocket(67, Interface("nosuch0", 4711, HERE, (HERE,)), counters=Metrics())

    assert open_descriptors() == before
    assert str(raised.value).startswith("cannot take frames of UDP port 67 on nosuch0: ")
    assert str(raised.value).endswith(
        "; set the interface up, give the daemon CAP_NET_RAW, as netboot.service does, or use dhcp.listen: udp"
    )
