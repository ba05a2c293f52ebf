"""Simulated firmware requests a boot from a live daemon, beside dnsmasq as the LAN's DHCP server."""

import asyncio
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from fixtures.daemon import wait_until
from fixtures.rack import Rack
from fixtures.servers import dnsmasq, running_server
from fixtures.simulated import addresses_of, failed_boot, on_lan, requested_boot, simulated

from netboot.model.install.event import Step
from netboot.probe.dhcp.boot_offer import BootOffer
from netboot.probe.dhcp.boot_request import request_boot
from netboot.probe.firmwares.firmware_profile import DhcpStage
from netboot.probe.firmwares.profiles import PROFILES
from netboot.probe.lan.lan_interface import LanInterface

pytestmark = pytest.mark.integration

SERVER = IPv4Address("192.0.2.10")
BASE = f"http://{SERVER}:8080"


@pytest.fixture(scope="module")
def rack(shared_rack: Rack) -> Iterator[Rack]:
    """The daemon beside dnsmasq, which leases 192.0.2.100 to 192.0.2.150 and names no boot file."""
    server = dnsmasq(shared_rack.directory, "--bind-interfaces", "--dhcp-option=3,192.0.2.1")
    with running_server(shared_rack.server_namespace, *server):
        yield shared_rack


@pytest.mark.parametrize(
    ("firmware", "file", "port"),
    [
        ("bios", "undionly.kpxe", 67),
        ("bios-long-67", "undionly.kpxe", 67),
        ("intel-bios-no-97", "undionly.kpxe", 67),
        ("gpxe", "undionly.kpxe", 67),
        ("edk2-pxe", "snponly.efi", 67),
        ("edk2-pxe-4011", "snponly.efi", 4011),
        ("edk2-guid-chaddr", "snponly.efi", 67),
        ("infiniband", "snponly.efi", 67),
        ("infiniband-guid", "snponly.efi", 67),
        ("no-option-93", "snponly.efi", 67),
        ("option-93-list", "snponly.efi", 67),
        ("option-93-odd", "snponly.efi", 67),
        ("shim-grub", "snponly.efi", 67),
        ("u-boot", "snponly-arm64.efi", 67),
        ("ia32-edk2-pxe", "snponly-ia32.efi", 67),
        ("arm64-edk2-pxe", "snponly-arm64.efi", 67),
        ("edk2-http", f"{BASE}/bootfiles/snponly.efi", 67),
        ("ia32-edk2-http", f"{BASE}/bootfiles/snponly-ia32.efi", 67),
        ("arm64-edk2-http", f"{BASE}/bootfiles/snponly-arm64.efi", 67),
        ("ipxe-rom", f"{BASE}/boot/MAC.ipxe", 67),
        ("flexboot", "undionly.kpxe", 67),
        ("ipxe-loader", f"{BASE}/boot/MAC.ipxe", 67),
    ],
)
def test_a_firmware_gets_a_lease_and_chooses_the_boot_file_of_netboot(
    rack: Rack, firmware: str, file: str, port: int
) -> None:
    number = list(PROFILES).index(firmware)  # a machine does not change its firmware
    mac = f"b8:ce:f6:03:00:31:33:{number:02x}" if "infiniband" in firmware else f"52:54:00:70:01:{number:02x}"

    offer = requested_boot(rack.lan, firmware, mac=mac)

    assert (offer.server, offer.file, offer.port) == (SERVER, file.replace("MAC", mac.replace(":", "-")), port)
    assert offer.is_url is file.startswith("http")
    assert offer.lease is not None
    assert (offer.lease.server, offer.lease.gateway) == (SERVER, IPv4Address("192.0.2.1"))
    assert 100 <= offer.lease.address.ip.packed[3] <= 150
    assert addresses_of(rack.lan) == ["192.0.2.66/24"]


def test_a_host_without_option_43_gets_its_file_on_port_4011(rack: Rack) -> None:
    offer = requested_boot(rack.lan, "bios", mac="52:54:00:12:34:56")

    assert (offer.file, offer.port, offer.local_boot) == ("undionly.kpxe", 4011, "")


def test_the_reply_of_port_4011_arrives_although_dnsmasq_entered_the_machines_mac_for_its_address(rack: Rack) -> None:
    files = [requested_boot(rack.lan, each, mac="52:54:00:70:00:0b").file for each in ("ipxe-rom", "edk2-pxe-4011")]

    assert files == [f"{BASE}/boot/52-54-00-70-00-0b.ipxe", "snponly.efi"]


def test_a_host_that_is_not_armed_goes_on_with_its_disk(rack: Rack) -> None:
    offer = requested_boot(rack.lan, "edk2-pxe", mac="52:54:00:aa:bb:01")

    assert (offer.file, offer.local_boot, offer.options[43].hex()) == ("", "PXE-E21: Remote boot cancelled", "060108ff")


@pytest.mark.parametrize(
    ("firmware", "haste", "message"),
    [
        ("bios-ignores-proxy", 8, "the lease names no boot file, .* PXE-E53: No boot filename received"),
        ("raspberry-pi", 30, "no offer has 'Raspberry Pi Boot' in option 43.9; the ROM goes on"),
        ("grub-bootp", 4, "the lease names no boot server and no file"),
    ],
)
def test_a_firmware_that_reads_no_offer_of_a_proxy_fails_as_it_does(
    rack: Rack, firmware: str, haste: float, message: str
) -> None:
    failure = failed_boot(rack.lan, firmware, message, mac="b8:27:eb:70:00:05", haste=haste)

    assert failure.step is Step.OFFER
    assert any("lease of 192.0.2.1" in line for line in failure.evidence)


def test_a_chained_loader_keeps_the_address_of_its_firmware_or_gets_another(rack: Rack) -> None:
    async def scenario(lan: LanInterface) -> tuple[BootOffer, BootOffer, int]:
        machine = simulated(lan, "edk2-pxe", mac="52:54:00:70:00:07", duplicates=True)
        offers = [await request_boot(machine, stage) for stage in machine.profile.stages]
        held = len({each.address.ip for each in machine.held})
        assert machine.address == offers[1].lease.address.ip
        assert machine.profile.stages == (DhcpStage.FIRMWARE, DhcpStage.LOADER)
        assert held == len(machine.held)
        await machine.power_off()
        return offers[0], offers[1], held

    firmware, loader, held = on_lan(rack.lan, scenario)

    assert firmware.file == "snponly.efi"
    assert loader.file == f"{BASE}/boot/52-54-00-70-00-07.ipxe"
    assert held in (1, 2)
    assert addresses_of(rack.lan) == ["192.0.2.66/24"]


def test_shim_finds_its_files_where_the_offer_of_the_proxy_names_them(rack: Rack) -> None:
    offer = requested_boot(rack.lan, "shim-grub", mac="52:54:00:70:00:08")

    assert offer.packets is not None
    assert (offer.packets.server, offer.packets.file, offer.packets.origin) == (
        SERVER,
        "snponly.efi",
        "the proxy's offer",
    )


def test_the_lease_is_released_at_the_end_also_of_a_machine_that_is_cancelled(rack: Rack) -> None:
    async def scenario(lan: LanInterface) -> None:
        machine = simulated(lan, "bios", mac="52:54:00:70:00:0a")
        await request_boot(machine)
        assert "52:54:00:70:00:0a" in (rack.directory / "leases").read_text()
        raise asyncio.CancelledError

    requested_boot(rack.lan, "bios", mac="52:54:00:70:00:09")
    with pytest.raises(asyncio.CancelledError):
        on_lan(rack.lan, scenario)

    leases = rack.directory / "leases"
    wait_until(lambda: "52:54:00:70:00:0" not in leases.read_text() or None, failed=leases.read_text)
    assert addresses_of(rack.lan) == ["192.0.2.66/24"]


def test_many_machines_boot_at_once(rack: Rack) -> None:
    async def scenario(lan: LanInterface) -> list[str]:
        machines = [simulated(lan, "edk2-pxe", mac=f"52:54:00:71:00:{number:02x}", haste=2) for number in range(40)]
        offers = await asyncio.gather(*(request_boot(machine) for machine in machines))
        found = [str(machine.address) for machine in machines]
        assert {offer.file for offer in offers} == {"snponly.efi"}
        return found

    found = on_lan(rack.lan, scenario)

    assert len(set(found)) == 40
    assert addresses_of(rack.lan) == ["192.0.2.66/24"]
