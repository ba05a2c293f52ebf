"""Each check before the disk is written fails on a real machine; its disk stays as it was, and the machine waits."""

import asyncio
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any, Final

import pytest
from e2e.disk_contents import checksums, write_data
from e2e.foreign_programs import time_server

from netboot.lab.lab import running_lab
from netboot.lab.lab_hosts import CP1, LabHost
from netboot.lab.lan.namespaces import BRIDGE, DHCP_CARD, DHCP_SERVER, Lan, inside
from netboot.lab.machines.console import Console
from netboot.lab.machines.qemu import Firmware, LabDisk
from netboot.model.install.checks import CheckResult
from netboot.operate.arming import ArmRequest

pytestmark = [pytest.mark.e2e, pytest.mark.proof]

INSTALLER = "netboot-lab: installer stage 1"
PARTITIONED = "netboot-lab: partitioned"
WAITS = "netboot: cp1 waits: a check before its install failed; nothing was written"
BOOT_S = 240.0  # generous: a busy box is four times slower
AGAIN_S = 60.0  # for the next request for the script, ten seconds later
ANOTHER = "used by another machine, [0-9A-F]{2}(:[0-9A-F]{2}){5}: "
CURE = (
    "; nothing was written, and it waits: correct this, then netboot install arm cp1; "
    "or netboot install cancel cp1 to boot its own disk"
)
SPARE_IP = "192.0.2.251"  # of no machine
VIRTUAL_IP = "192.0.2.100"
NO_SERVER = "http://192.0.2.1:8080/ostree"
SMALL = LabDisk("root", 1)


def with_lvm(content: bytearray) -> None:
    """Write the label and the header of an LVM2 physical volume into the second sector (lvm2, lib/format_text)."""
    header = b"LVM2 001" + b"netbootlabnetbootlabnetbootlab01" + struct.pack("<Q", 1 << 30)
    body = (struct.pack("<I", 32) + header).ljust(512 - 20, b"\0")
    crc = ~zlib.crc32(body, ~0xF597A6CF & 0xFFFFFFFF) & 0xFFFFFFFF
    content[512:1024] = b"LABELONE" + struct.pack("<QI", 1, crc) + body


def with_md(content: bytearray) -> None:
    """Write a superblock 1.2 of a RAID 1 of two disks (md(4), linux/raid/md_p.h) at 4 KiB."""
    block = bytearray(256)
    struct.pack_into("<II", block, 0, 0xA92B4EFC, 1)
    block[16:32] = b"netboot-lab-uuid"
    struct.pack_into("<iIQII", block, 72, 1, 0, 1 << 20, 0, 2)
    struct.pack_into("<QQQ", block, 128, 2048, 1 << 20, 8)  # data offset, data size, place of this block: in sectors
    total = sum(struct.unpack("<64I", block))
    struct.pack_into("<I", block, 216, (total & 0xFFFFFFFF) + (total >> 32))
    content[4096 : 4096 + 256] = block


@dataclass(frozen=True)
class Failing:
    """A machine of which one check fails, with a pattern of the whole sentence."""

    check: str
    found: str
    host: LabHost
    write: Callable[[bytearray], None] | None = None  # changes the beginning of its first disk
    neighbour: str | None = None  # the address of another machine on the LAN


def cp1(*disks: LabDisk, **changes: Any) -> LabHost:
    return replace(CP1, machine=replace(CP1.machine, disks=disks or (SMALL,)), **changes)


def machine(**changes: Any) -> LabHost:
    return replace(CP1, machine=replace(CP1.machine, disks=(SMALL,), **changes))


MEMBER: Final = "vda belongs to a group: vda is a {}; hosts.cp1.disk.release_members: true releases it"
CASES: Final = {
    "firmware": Failing(
        "firmware",
        "the machine booted by BIOS, and OCK boots by UEFI only: set its firmware to UEFI",
        machine(firmware=Firmware.SEABIOS_IPXE),
    ),
    "no disk fits": Failing("disk", r"no disk fits hosts\.cp1\.disk \(serial S3Z1\)", cp1(disk={"serial": "S3Z1"})),
    "two disks fit": Failing(
        "disk",
        r"vda and vdb both fit hosts\.cp1\.disk \(at least 1 GB\): add what only one of them has",
        cp1(SMALL, LabDisk("data", 1), disk={"min_size": "1GB"}),
    ),
    "volume group": Failing("members", MEMBER.format("LVM2_member"), cp1(), write=with_lvm),
    "array": Failing("members", MEMBER.format("linux_raid_member"), cp1(), write=with_md),
    "multipath": Failing(
        "members",
        "sda is reached by several paths: sdb has the same world-wide name, and OCK boots from no multipath disk",
        cp1(LabDisk("root", 1, paths=2), disk="/dev/sda"),
    ),
    "memory": Failing(
        "memory",
        r"the machine has 9\d\d MiB of memory, and a node needs 2 GiB \(at least 1700 MiB beside the kernel's own\)",
        machine(memory_mib=1024),
    ),
    "clock": Failing(
        "clock",
        r"the clock is \d{8,} s behind the appliance's: set it in the firmware, or set install\.set_clock",
        machine(clock="2021-03-04T05:06:07"),
    ),
    "address": Failing(
        "address", rf"the address 192\.0\.2\.21 is {ANOTHER}change one of the two", cp1(), neighbour="192.0.2.21"
    ),
    "gateway": Failing(
        "gateway",
        rf"the gateway {SPARE_IP} did not answer: check its address, the netmask and the VLAN of the switch port",
        cp1(network={"gateway": SPARE_IP}),
    ),
    "ntp": Failing("ntp", rf"no time server answered: {SPARE_IP} \(Timeout reached\)", cp1(more={"ntp": [SPARE_IP]})),
    "vip": Failing(
        "vip",
        rf"the cluster's virtual IP {VIRTUAL_IP} is {ANOTHER}a second cluster would start with it",
        cp1(),
        neighbour=VIRTUAL_IP,
    ),
    "release": Failing(
        "release",
        rf"the release ock of {NO_SERVER} cannot be fetched: curl: \(7\) Failed to connect to 192\.0\.2\.1 "
        r"port 8080 after \d+ ms: Couldn't connect to server",
        cp1(more={"release": {"url": NO_SERVER, "ref": "ock"}}),
    ),
}


class TimeLan(Lan):
    """A LAN whose DHCP server is its time server too."""

    def servers(self, work: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Give the time server too, which sets no clock."""
        yield from super().servers(work)
        chronyd = (str(time_server()), "-x", "-d", "-u", "root")
        options = (f"pidfile {work}/chronyd.pid", "local stratum 1", "allow", "cmdport 0", "bindcmdaddress /")
        yield "time", inside(self.dhcp_namespace, *chronyd, *options)

    def add_neighbour(self, address: str) -> None:
        """Connect another machine that has this address."""
        self.join(f"{self.prefix}-other", DHCP_CARD, IPv4Interface(f"{address}/24"), bridge=BRIDGE)


def words_shown(console: Console) -> str:
    """Return the lines of our scripts on a console as one text."""
    return " ".join(re.findall(r"^netboot: (.*?) *$", console.text, re.MULTILINE))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_a_check_that_fails_writes_nothing_and_the_machine_waits_with_the_reason(case: Failing):
    host = replace(case.host, more={"ntp": [str(DHCP_SERVER.ip)], **case.host.more})
    async with running_lab([host], say=print, lan_type=TimeLan) as lab, lab.appliance.control() as daemon:
        guest, lan = lab.guest("cp1"), lab.lan
        if case.neighbour is not None and isinstance(lan, TimeLan):
            await asyncio.to_thread(lan.add_neighbour, case.neighbour)
        await asyncio.to_thread(write_data, guest, case.write)
        before = await asyncio.to_thread(checksums, guest)
        await daemon.arm(ArmRequest(["cp1"], reason="test"))

        console = await guest.power_on()
        assert await console.wait_for(WAITS, PARTITIONED, timeout_s=BOOT_S) == WAITS
        first = console.text.index(WAITS)
        await console.wait_for(WAITS, timeout_s=AGAIN_S, after=first + 1)  # it requested its script again, and waits
        await guest.power_off()

        install = await daemon.install("cp1")
        results = {check["name"]: check["result"] for check in install["checks"]}
        [found] = [check["found"] for check in install["checks"] if check["result"] == CheckResult.FAIL]
        assert (install["state"], install["armed"]) == ("failed", True)
        assert {name for name, result in results.items() if result == CheckResult.FAIL} == {case.check}
        assert {*results.values()} == {CheckResult.PASS, CheckResult.FAIL} | (
            {CheckResult.SKIPPED} if case.check == "disk" else set()  # of a disk that is not known
        )
        assert re.fullmatch(case.found, found), found
        assert install["reason"] == found + CURE
        assert found.replace(";", ",") in words_shown(console)
        assert console.text.count(INSTALLER) == 1
        assert await asyncio.to_thread(checksums, guest) == before
