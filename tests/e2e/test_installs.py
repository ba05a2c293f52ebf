"""Whole installs of unusual hosts: both families of addresses, another server's release, an inspected machine."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Interface, ip_address
from pathlib import Path
from typing import Final

import pytest
from e2e.commands import netboot
from e2e.disk_contents import checksums, write_data

from netboot.lab.lab import running_lab
from netboot.lab.lab_hosts import CP1, POOL, POOL_ADDRESSES, W1
from netboot.lab.lan.namespaces import BRIDGE, DHCP_CARD, DHCP_SERVER_V6, Lan, inside, within
from netboot.lab.machines.follow import boot_to_the_end
from netboot.lab.machines.qemu import CARD_NAME, DISK_PATH
from netboot.lab.media.stand_ins import RELEASE
from netboot.model.install.event import Step
from netboot.operate.arming import ArmRequest

pytestmark = [pytest.mark.e2e, pytest.mark.proof]

BOOT_S = 240.0  # generous: a busy box is four times slower
INSTALL_S = 420.0
READY = "netboot-lab: ready"
NOT_REGISTERED = "netboot: this machine is not registered"
MIRROR: Final = IPv4Interface("192.0.2.4/24")
MIRROR_URL: Final = f"http://{MIRROR.ip}/ock"


def quiet(*_: object) -> None: ...


async def test_a_host_of_both_families_has_the_addresses_and_routes_of_its_keyfile():
    address = DHCP_SERVER_V6.network[0x21]
    network = {
        "address6": f"{address}/64",
        "gateway6": str(DHCP_SERVER_V6.ip),
        "routes": [
            {"to": "198.51.100.0/24", "via": "192.0.2.3"},
            {"to": "2001:db8:5::/48", "via": str(DHCP_SERVER_V6.network[3])},
        ],
    }
    async with running_lab([replace(CP1, network=network)], say=quiet) as lab, lab.appliance.control() as daemon:
        guest = lab.guest("cp1")
        await daemon.arm(ArmRequest(["cp1"], reason="test"))

        await boot_to_the_end(daemon, [guest], on_change=quiet, limit_s=INSTALL_S)

        shown = {
            line
            for line in guest.console.text.splitlines()
            if line.startswith(("netboot-lab: keyfile", "netboot-lab: route"))
        }
        assert shown == {
            "netboot-lab: keyfile enp0s2 192.0.2.21/24",
            "netboot-lab: route default 192.0.2.1",
            "netboot-lab: route 198.51.100.0/24 192.0.2.3",
            f"netboot-lab: keyfile enp0s2 {address}/64",
            f"netboot-lab: route default {DHCP_SERVER_V6.ip}",
            f"netboot-lab: route 2001:db8:5::/48 {DHCP_SERVER_V6.network[3]}",
        }
        for each in ("192.0.2.21", str(address)):
            assert await asyncio.to_thread(within, lab.lan.dhcp_namespace, lambda _, each=each: answers(each)), each


def answers(address: str) -> bool:
    """Return whether a machine answers at this address: it refuses a connection."""
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        try:
            client.connect((address, 9))
        except ConnectionRefusedError:
            return True
    return False


class MirrorLan(Lan):
    """A LAN on which another machine, with nginx, has the release, and the appliance has not."""

    def create(self) -> None:
        """Make the mirror's namespace too."""
        super().create()
        self.join(f"{self.prefix}-mirror", DHCP_CARD, MIRROR, bridge=BRIDGE)

    def servers(self, work: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Give the mirror's nginx too, and move the appliance's release to it."""
        yield from super().servers(work)
        mirror = work / "mirror"
        mirror.mkdir()
        (work / "content/ostree" / RELEASE).rename(mirror / "ock")
        settings = mirror / "nginx.conf"
        settings.write_text(
            "daemon off; master_process off; events {}\n"
            f"http {{ access_log {work}/mirror-access.log; server {{ listen {MIRROR.ip}:80; root {mirror}; }} }}\n"
        )
        options = ("-c", str(settings), "-e", "stderr", "-g", f"pid {mirror}/nginx.pid;")
        yield "mirror", inside(f"{self.prefix}-mirror", "nginx", *options)


async def test_a_host_is_installed_from_an_existing_ostree_server():
    host = replace(W1, more={"release": {"url": MIRROR_URL, "ref": "ock"}})
    async with (
        running_lab([host], say=quiet, lan_type=MirrorLan) as lab,
        lab.appliance.control() as daemon,
    ):
        guest = lab.guest("w1")
        await daemon.arm(ArmRequest(["w1"], reason="test"))

        timelines = await boot_to_the_end(daemon, [guest], on_change=quiet, limit_s=INSTALL_S)

        assert Step.READY in timelines["w1"].moments
        assert Step.OSTREE not in timelines["w1"].moments  # nothing was pulled from the appliance
        assert f"netboot-lab: remote {MIRROR_URL}" in guest.console.text
        pulled = (lab.work / "mirror-access.log").read_text()
        assert "GET /ock/refs/heads/ock " in pulled
        assert pulled.count("GET /ock/objects/") > 1000
        assert list((lab.appliance.paths.content / "ostree").iterdir()) == []


async def test_an_unregistered_machine_is_inspected_then_approved_and_installed():
    machine = replace(CP1.machine, name="new")
    async with (
        running_lab([replace(CP1, machine=machine, is_registered=False)], say=quiet) as lab,
        lab.appliance.control() as daemon,
    ):
        guest = lab.guest("new")
        await asyncio.to_thread(write_data, guest)
        before = await asyncio.to_thread(checksums, guest)

        console = await guest.power_on()
        await console.wait_for(NOT_REGISTERED, timeout_s=BOOT_S)
        assert "is inspected with" in console.text

        [found] = await netboot(lab, "host", "list", "--discovered")
        hardware = found["inspection"]["hardware"]
        assert [(disk["name"], disk["size_bytes"], disk["by_path"][0]) for disk in hardware["disks"]] == [
            ("vda", machine.disks[0].size_gib << 30, DISK_PATH)
        ]
        assert [(card["name"], card["mac"], card["has_link"]) for card in hardware["cards"]] == [
            (CARD_NAME, machine.mac, True)
        ]

        options = ("--role", "worker", "--name", "rack-{n}", "--pool", POOL, "--disk", DISK_PATH)
        approved = await netboot(lab, "host", "approve", machine.mac, *options)
        assert [each["host"] for each in approved["hosts"]] == ["rack-1"]
        assert await asyncio.to_thread(checksums, guest) == before
        await daemon.arm(ArmRequest(["rack-1"], reason="test"))

        await console.wait_for(READY, timeout_s=INSTALL_S)  # without another power-on
        assert f"netboot-lab: keyfile {CARD_NAME} {POOL_ADDRESSES[0]}/24" in console.text
        install = await daemon.install("rack-1")
        assert (install["state"], install["armed"]) == ("ready", False)
