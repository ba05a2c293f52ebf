"""Simulated firmware requests a boot from a live daemon, beside dnsmasq as the LAN's DHCP server."""

from ipaddress import IPv4Address

import pytest
from fixtures.rack import Rack
from fixtures.simulated import on_lan, simulated

from netboot.probe.dhcp.boot_offer import BootOffer
from netboot.probe.dhcp.boot_request import request_boot
from netboot.probe.lan.lan_interface import LanInterface

pytestmark = pytest.mark.integration

SERVER = IPv4Address("192.0.2.10")


def boot(rack: Rack, firmware: str, mac: str, **more: object) -> BootOffer:
    async def scenario(lan: LanInterface) -> BootOffer:
        machine = simulated(lan, firmware, mac=mac, **more)  # type: ignore[arg-type]
        try:
            return await request_boot(machine, machine.profile.stages[0])
        finally:
            await machine.power_off()

    return on_lan(rack.lan, scenario)


@pytest.mark.parametrize(
    ("firmware", "file", "port"),
    [
        ("bios", "undionly.kpxe", 67),
        ("edk2-pxe", "snponly.efi", 67),
        ("edk2-pxe-4011", "snponly.efi", 4011),
        ("edk2-http", "http://192.0.2.10:8080/bootfiles/snponly.efi", 67),
        ("ipxe-rom", "http://192.0.2.10:8080/boot/52-54-00-70-00-05.ipxe", 67),
    ],
)
def test_a_firmware_chooses_the_offer_of_netboot(shared_rack: Rack, firmware: str, file: str, port: int) -> None:
    offer = boot(shared_rack, firmware, "52:54:00:70:00:05")
    assert (offer.server, offer.file, offer.port) == (SERVER, file, port)
    assert offer.lease is not None
