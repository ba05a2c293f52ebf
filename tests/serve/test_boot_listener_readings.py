"""The gauges of the listeners, on the whole appliance in one process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from safety import wire
from safety.appliance import Appliance, link_shared, prepare
from safety.declared import A1, AT_FIRST


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    shared, directory = tmp_path / "shared", tmp_path / "box"
    shared.mkdir()
    directory.mkdir()
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text(), mode="reservation")
    yield box
    box.close()


def gauges(box: Appliance) -> dict[str, float]:
    lines = box.administration("GET", "/metrics").body.decode().splitlines()
    found = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name.removeprefix("netboot_"): float(value) for name, _, value in found}


def test_each_port_transfer_and_queue_is_read(appliance: Appliance):
    appliance.dhcp(67, wire.discover(wire.UEFI, A1, 1))
    appliance.advance(1)  # the round trip of the start has ended
    before = gauges(appliance)
    appliance.udp(69, b"\0\1snponly.efi\0octet\0", ("192.0.2.50", 20_000))
    during = gauges(appliance)

    ports = {name for name in before if name.startswith("datagrams_waiting_bytes")}
    assert ports == {f'datagrams_waiting_bytes{{interface="boot0",port="{port}"}}' for port in (67, 69, 4011)}
    running = 'tftp_transfers_running{interface="boot0"}'
    assert (before[running], during[running]) == (0, 1)
    queues = {name.split('queue="')[1][:-2] for name in before if name.startswith("queue_length")}
    assert queues >= {"lease-requests", "tftp-requests", "large-bodies", "events", "offers", "machines"}
    assert before["http_connections"] == 0
