"""`netboot doctor --area lan` on an appliance: beside its own daemon, without rights, before the first install."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.files import OPEN_SETTINGS, write_boot_files, write_files
from fixtures.rack import Rack, a_rack
from fixtures.servers import dnsmasq, running_server

pytestmark = pytest.mark.integration

AREA = ("doctor", "--area", "lan", "--json")


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    """An appliance with `s0` and `s1` on one bridge, and a DHCP server on that bridge; machines that wait."""
    directory = write_files(tmp_path, settings=OPEN_SETTINGS)
    write_boot_files(directory / "boot")
    with a_rack(directory) as rack:
        rack.ip("link", "add", "s1", "type", "veth", "peer", "name", "c1", "netns", rack.client_namespace)
        rack.ip("addr", "add", "192.0.2.11/24", "dev", "s1")
        rack.ip("link", "set", "s1", "up")
        rack.ip("link", "set", "lo", "up")
        for command in (
            ("link", "add", "br0", "type", "bridge", "forward_delay", "0"),
            ("addr", "flush", "dev", "c0"),
            *(("link", "set", port, "master", "br0") for port in ("c0", "c1")),
            *(("link", "set", name, "up") for name in ("c1", "br0")),
            ("addr", "add", "192.0.2.254/24", "dev", "br0"),
        ):
            rack.lan.ip(rack.client_namespace, *command)
        yield rack


def lan_of(rack: Rack, *options: str, status: int = 0) -> dict[str, Any]:
    printed = rack.run(*AREA, *options)
    assert printed.returncode == status, printed.stdout + printed.stderr
    [area] = json.loads(printed.stdout)["areas"]
    return area


def test_beside_the_daemon_its_own_offers_are_recognised(rack: Rack, tmp_path: Path) -> None:
    """What is sent on `s1` reaches the daemon through `s0`, whose offers come back."""
    rack.start()
    with running_server(rack.client_namespace, *dnsmasq(tmp_path, interface="br0")):
        found = lan_of(rack, "--interface", "s1", "--seconds", "3")

    assert rack.lines("boot.offered") != []
    checks = {finding["check"]: finding["level"] for finding in found["findings"]}
    assert checks.pop("lan.dhcp_server") == "note"
    assert checks.pop("lan.duplicate_address", "warning") == "warning"  # two cards on one LAN: ARP of the other one
    assert checks == {}


def test_a_dhcp_server_beside_the_daemon_on_the_appliance_is_named_and_not_reported_as_missing(
    rack: Rack, tmp_path: Path
) -> None:
    """Both hold port 67; what the doctor sends reaches neither."""
    rack.start()
    with running_server(rack.server_namespace, *dnsmasq(tmp_path, "--bind-interfaces")):
        found = lan_of(rack, "--interface", "s0", "--no-send", "--seconds", "1")
        sent = lan_of(rack, "--interface", "s0", "--seconds", "2")

    assert found["findings"] == []
    [finding] = [each for each in sent["findings"] if each["check"] == "lan.dhcp_server"]
    assert finding["level"] == "note"
    assert "dnsmasq (process " in finding["sentence"]
    assert "netboot" not in finding["sentence"]


def test_before_the_first_install_a_named_interface_is_examined(rack: Rack, tmp_path: Path) -> None:
    with running_server(rack.client_namespace, *dnsmasq(tmp_path, interface="br0")):
        found = rack.run(*AREA, "--interface", "s0", "--seconds", "2", config=tmp_path / "absent.yaml")

    [area] = json.loads(found.stdout)["areas"]
    assert "lan.dhcp_server" in area["checked"]


def test_without_the_right_to_open_packet_sockets_nothing_is_checked_and_the_cure_is_stated(rack: Rack) -> None:
    command = rack.command(*AREA, on=("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"))
    environment = os.environ | {"NETBOOT_CONFIG": str(rack.config)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    [area] = json.loads(done.stdout)["areas"]
    assert area["not_checked"] == {
        "lan": "cannot receive the frames of s0: Operation not permitted; run it as root, or with CAP_NET_RAW"
    }
    assert (area["findings"], area["checked"], done.returncode) == ([], [], 0)
