"""Records the frames of real boots of the lab in tests/captures: of firmware, loaders and installers.

.ci/isolated env PYTHONPATH=tests .venv/bin/python -m e2e.record_captures [CASE...]

Frames are recorded on the lab's bridge, so the LAN's own DHCP server is in them too. A capture is reduced to what a
replay needs: every DHCP message; of TFTP the requests, refusals and OACKs; of HTTP the requests and the heads of the
answers, of a release's objects only the first ones. `tests/captures/README.md` has the story of each.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Final

from e2e.foreign_programs import GRUB_ARM64, SHIM_X64, add_arm64_grub, add_shim
from e2e.staged_boots import BOOT_S, FAULTS, HEALTHY, Case, StagedBoot, staged
from lab_lans import LeasingLan
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapNgReader

from netboot.lab.lab_hosts import BIOS1, CP1, LabHost
from netboot.lab.lan.namespaces import BRIDGE, inside
from netboot.lab.machines.qemu import Firmware, LabMachine
from netboot.model.host.firmware import ReplyVariant
from netboot.model.host.host import Role
from netboot.wire.pcapng import Packet, interface, packet, section

CAPTURES: Final = Path(__file__).parents[1] / "captures"
INSTALLER: Final = "netboot-lab: installer stage 1"
FOREVER_S: Final = 40.0  # of a fault that remains
DHCP: Final = {67, 68, 4011}
DATA, ACK = 3, 4
OBJECTS: Final = 12  # of a release, whose requests are kept
HEAD_BYTES: Final = 2048


async def _to_the_installer(boot: StagedBoot) -> None:
    console = await boot.guest.power_on()
    await console.wait_for(INSTALLER, timeout_s=BOOT_S)


async def _to_its_script(boot: StagedBoot) -> None:
    """The lab has no medium for its CPU."""
    await boot.guest.power_on()
    await boot.event("boot.script_served")
    await asyncio.sleep(5)


async def _to_grub_script(boot: StagedBoot) -> None:
    """Debian's signed GRUB has no HTTP: it reads its script by TFTP, and can fetch no kernel."""
    console = await boot.guest.power_on()
    await console.wait_for("boots the installer", timeout_s=BOOT_S)


def _diskless(name: str, number: int, firmware: Firmware, loader: str) -> LabHost:
    return LabHost(LabMachine(name, f"52:54:00:aa:bb:{number:02x}", firmware, disks=()), Role.WORKER, loader=loader)


ARM64: Final = replace(_diskless("arm1", 6, Firmware.ARM64_PXE, GRUB_ARM64), address=IPv4Interface("192.0.2.36/24"))
SHIM: Final = replace(_diskless("sb1", 7, Firmware.OVMF_SECURE, SHIM_X64), address=IPv4Interface("192.0.2.37/24"))
UNDI: Final = replace(BIOS1, loader="undionly.kpxe", replaces_rom=True)

CASES: Final[Mapping[str, Case]] = {
    "edk2-pxe": HEALTHY["uefi-tftp"],
    "edk2-http": HEALTHY["uefi-http"],
    "edk2-http-grub": replace(HEALTHY["uefi-http-grub"], stage=_to_the_installer),
    "edk2-pxe-4011": Case(_to_the_installer, host=replace(CP1, reply=ReplyVariant.WITHOUT_43)),
    "edk2-pxe-shim": Case(_to_grub_script, host=SHIM, add_loaders=add_shim, lan_type=LeasingLan),
    "arm64-edk2-pxe-grub": Case(_to_its_script, host=ARM64, add_loaders=add_arm64_grub, lan_type=LeasingLan),
    "bios-ipxe-rom": Case(_to_the_installer, host=BIOS1),
    "bios-undionly": Case(_to_the_installer, host=UNDI),
    "own-disk": HEALTHY["own-disk"],
    "ignored-offers": FAULTS["ignored-offers"],
    "foreign-server": FAULTS["foreign-server"],
}


@asynccontextmanager
async def recorded(boot: StagedBoot, file: Path) -> AsyncIterator[None]:
    """Record the frames of the lab's bridge while this runs."""
    command = ("dumpcap", "-q", "-i", BRIDGE, "-s", str(HEAD_BYTES), "-w", str(file), "-f", "udp or tcp or arp")
    process = await asyncio.create_subprocess_exec(
        *inside(boot.lab.lan.namespace, *command), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(20):
        while b"File:" not in await process.stderr.readline():
            pass
    try:
        yield
    finally:
        await asyncio.sleep(1)
        process.terminate()
        await asyncio.wait_for(process.communicate(), 20)


async def record(name: str, case: Case) -> None:
    """Run one case and write its capture."""
    async with staged(case) as boot:
        whole = boot.lab.work / f"{name}.pcapng"
        async with recorded(boot, whole):
            staging = asyncio.create_task(case.stage(boot))
            await (asyncio.sleep(FOREVER_S) if case.cause else asyncio.wait({staging}))
            if staging.done():
                staging.result()
            staging.cancel()
            await asyncio.gather(staging, return_exceptions=True)
        reduce(whole, CAPTURES / f"{name}.pcapng", boot.guest.machine.mac)


def reduce(whole: Path, reduced: Path, mac: str) -> None:
    """Keep the frames that a replay needs."""
    needed = NeededFrames(mac)
    blocks = [section("tests/e2e/record_captures.py", f"the boot {reduced.stem} of {mac}"), interface(BRIDGE)]
    with RawPcapNgReader(str(whole)) as reader:
        for data, meta in reader:
            frame = Ether(data)
            kept = needed.part(frame)
            if kept:
                at_us = (meta.tshigh << 32 | meta.tslow) * 1_000_000 // meta.tsresol
                blocks.append(packet(Packet(0, at_us, data[:kept], meta.wirelen, is_sent=frame.src != mac)))
    reduced.write_bytes(b"".join(blocks))


@dataclass(slots=True)
class NeededFrames:
    """Which frames of one machine are kept, and how many bytes of each."""

    mac: str
    objects: int = 0
    blocks: set[tuple[int, int]] = field(default_factory=set)  # client port and opcode of which one was kept
    requested: set[tuple[int, int]] = field(default_factory=set)  # ports of connections that wait for a head

    def part(self, frame: Ether) -> int:
        """Return how many bytes of a frame are kept; 0 for none."""
        if UDP in frame and DHCP & {frame[UDP].sport, frame[UDP].dport}:
            return len(frame)
        if IP not in frame or self.mac not in (frame.src, frame.dst):
            return 0
        if UDP in frame:
            return self._of_tftp(frame, bytes(frame[UDP].payload))
        return self._of_http(frame, bytes(frame[TCP].payload)) if TCP in frame else 0

    def _of_tftp(self, frame: Ether, payload: bytes) -> int:
        client = frame[UDP].sport if frame.src == self.mac else frame[UDP].dport
        block = client, int.from_bytes(payload[:2], "big")
        if block[1] in (DATA, ACK) and block in self.blocks:
            return 0
        self.blocks.add(block)
        return len(frame) - len(payload) + 4 if block[1] == DATA else len(frame)

    def _of_http(self, frame: Ether, payload: bytes) -> int:
        ports = frame[TCP].sport, frame[TCP].dport
        if frame.src == self.mac and payload[:4] in (b"GET ", b"HEAD", b"POST"):
            self.objects += b"/objects/" in payload[:120]
            if self.objects > OBJECTS and b"/objects/" in payload[:120]:
                return 0
            self.requested.add(ports)
            return len(frame)
        if frame.dst == self.mac and ports[::-1] in self.requested and payload[:5] == b"HTTP/":
            self.requested.discard(ports[::-1])
            return len(frame) - len(payload) + payload.index(b"\r\n\r\n") + 4
        return 0


def main(*names: str) -> None:
    """Record each case, or those that are named."""
    CAPTURES.mkdir(exist_ok=True)
    for name in names or CASES:
        asyncio.run(record(name, CASES[name]))


if __name__ == "__main__":
    main(*sys.argv[1:])
