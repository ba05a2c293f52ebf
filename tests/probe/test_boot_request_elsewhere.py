"""Simulated firmware on LANs with other servers: one that breaks a boot, none at all, or netboot as the only one."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from fixtures.files import write_boot_files, write_files
from fixtures.rack import Rack, running
from fixtures.servers import dnsmasq, running_server
from fixtures.simulated import addresses_of, failed_boot, on_lan, requested_boot, simulated

from netboot.model.install.event import Step
from netboot.probe.dhcp.boot_request import request_boot
from netboot.probe.lan.impairment import Impairment
from netboot.probe.lan.lan_interface import LanInterface

pytestmark = pytest.mark.integration

SERVER = IPv4Address("192.0.2.10")
CLASS = "--dhcp-option-force=60,PXEClient"
SCRIPT = f"http://{SERVER}:8080/boot/52-54-00-72-00-01.ipxe"
MAC = "52:54:00:72:00:01"
ONLY_SERVER = """\
network: {interfaces: [s0]}
admin: {socket: control.sock, listen: 127.0.0.1:8470}
bootfiles: {directories: [boot]}
content: {directory: content}
store: {url: sqlite+aiosqlite:///netboot.db}
records: {directory: records}
hosts: {files: [hosts.yaml], unknown: wait}
dhcp: {mode: reservation, pool: [192.0.2.200-192.0.2.209], router: 192.0.2.1}
"""


@contextmanager
def foreign_server(rack: Rack, *options: str) -> Iterator[None]:
    """Join the appliance, a machine's interface `m1` and a foreign dnsmasq, 192.0.2.254, by a bridge."""

    def ip(*arguments: str) -> None:
        rack.lan.ip(rack.client_namespace, *arguments)

    ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
    ip("link", "add", "m0", "type", "veth", "peer", "name", "m1")
    for port in ("c0", "m0"):
        ip("link", "set", port, "master", "br0")
    for name in ("m0", "m1", "br0"):
        ip("link", "set", name, "up")
    ip("addr", "add", "192.0.2.254/24", "dev", "br0")
    try:
        with running_server(rack.client_namespace, *dnsmasq(rack.directory, *options, interface="br0")):
            yield
    finally:
        ip("link", "del", "m0")
        ip("link", "del", "br0")


EXPECTED = {
    "bios": "undionly.kpxe",
    "edk2-pxe": "snponly.efi",
    "edk2-pxe-4011": "snponly.efi",
    "edk2-http": f"http://{SERVER}:8080/bootfiles/snponly.efi",
    "ipxe-rom": f"http://{SERVER}:8080/boot/MAC.ipxe",
    "bios-ignores-proxy": "undionly.kpxe",
    "u-boot": "snponly-arm64.efi",
}
POOL = [IPv4Address("192.0.2.200") + number for number in range(10)]


@contextmanager
def beside(rack: Rack, *options: str) -> Iterator[Rack]:
    """Run dnsmasq with these options beside the daemon."""
    with running_server(rack.server_namespace, *dnsmasq(rack.directory, "--bind-interfaces", *options)):
        yield rack


def test_a_foreign_lease_server_that_sends_option_60_beats_netboot_at_edk2(shared_rack: Rack) -> None:
    message = "192.0.2.254 does not reply on port 4011; EDK2 prints PXE-E16"
    with foreign_server(shared_rack, CLASS):
        failure = failed_boot(shared_rack.lan, "edk2-pxe", message, mac=MAC, interface="m1")

    assert failure.step is Step.PXE_REQUEST
    assert failure.cure.startswith("remove option 60 from the lease server 192.0.2.254")
    assert any("class 'PXEClient'" in line for line in failure.evidence)


def test_a_boot_file_of_the_lease_server_is_ignored_by_edk2_and_taken_by_a_rom_that_reads_no_proxy(
    shared_rack: Rack,
) -> None:
    with beside(shared_rack, "--dhcp-boot=foreign.0,,192.0.2.9"):
        uefi = requested_boot(shared_rack.lan, "edk2-pxe", mac=MAC)
        ipxe = requested_boot(shared_rack.lan, "ipxe-rom", mac=MAC)
        rom = requested_boot(shared_rack.lan, "bios-ignores-proxy", mac=MAC)
        bare = requested_boot(shared_rack.lan, "grub-bootp", mac=MAC)

    assert (uefi.file, uefi.server) == ("snponly.efi", SERVER)
    assert ipxe.file == SCRIPT  # option 175.1 gives netboot's offer the higher priority
    assert (rom.file, rom.server, bare.file) == ("foreign.0", IPv4Address("192.0.2.9"), "foreign.0")


@pytest.mark.parametrize(
    ("firmware", "message"),
    [
        ("bios", "no server offers an address; the ROM prints PXE-E52"),
        ("edk2-pxe", "no server offers an address; EDK2 prints PXE-E16"),
        ("edk2-http", "no server offers an address; EDK2 prints Error: Server response timeout"),
        ("ipxe-rom", "no server offers an address; iPXE prints No configuration methods succeeded"),
        ("u-boot", "no offer has a boot file that U-Boot reads; U-Boot prints Retry time exceeded"),
        ("grub-bootp", "no server offers an address; GRUB prints error: couldn't autoconfigure"),
    ],
)
def test_without_a_dhcp_server_a_firmware_gives_up(shared_rack: Rack, firmware: str, message: str) -> None:
    failure = failed_boot(shared_rack.lan, firmware, message, mac=MAC, haste=100)

    assert failure.step is Step.OFFER


@pytest.mark.parametrize(
    ("firmware", "file", "port"),
    [
        ("bios", "undionly.kpxe", 67),
        ("edk2-pxe", "snponly.efi", 67),
        ("edk2-pxe-4011", "snponly.efi", 4011),
        ("edk2-http", f"http://{SERVER}:8080/bootfiles/snponly.efi", 67),
        ("ipxe-rom", SCRIPT, 67),
        ("u-boot", "snponly-arm64.efi", 67),
    ],
)
def test_a_machine_with_a_fixed_address_needs_no_dhcp_server(
    shared_rack: Rack, firmware: str, file: str, port: int
) -> None:
    offer = requested_boot(shared_rack.lan, firmware, mac=MAC, fixed="192.0.2.77/24")

    assert (offer.file, offer.port, offer.lease) == (file, port, None)
    assert addresses_of(shared_rack.lan) == ["192.0.2.66/24"]


def test_lost_datagrams_are_repeated(shared_rack: Rack) -> None:
    with beside(shared_rack):
        offer = requested_boot(shared_rack.lan, "edk2-pxe", mac=MAC, impairment=Impairment(loss=0.3, delay_s=0.01))

    assert offer.file == "snponly.efi"


def test_no_server_at_all_is_another_message(shared_rack: Rack) -> None:
    for firmware, message in (
        ("bios", "PXE-E51"), ("edk2-pxe", "PXE-E18: Server response timeout"), ("edk2-http", "no server replied"),
        ("ipxe-rom", "no server replied"),
    ):  # fmt: skip
        with pytest.raises(Exception, match=message):
            requested_boot(shared_rack.lan, firmware, mac=MAC, haste=200, impairment=Impairment(loss=1))


def test_netboot_as_the_only_server_gives_lease_and_boot_file_to_a_computer_without_address(tmp_path: Path) -> None:
    write_files(tmp_path, settings=ONLY_SERVER)
    write_boot_files(tmp_path / "boot")
    with running(tmp_path) as rack:
        rack.lan.ip(rack.lan.client, "addr", "flush", "dev", "c0")

        async def scenario(lan: LanInterface) -> None:
            for number, (firmware, file) in enumerate(EXPECTED.items()):
                machine = simulated(lan, firmware, mac=f"52:54:00:72:01:{number:02x}")
                offer = await request_boot(machine)
                mac = machine.mac.hyphenated
                assert (offer.file, offer.server) == (file.replace("MAC", mac), SERVER), firmware
                assert offer.lease is not None
                assert offer.lease.address.ip in POOL
                with_tcp = await asyncio.open_connection(str(SERVER), 8080, local_addr=(str(machine.address), 0))
                with_tcp[1].close()
                await machine.power_off()

        on_lan(rack.lan, scenario)
        assert addresses_of(rack.lan) == []
