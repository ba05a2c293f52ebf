"""The faults that the lab stages on a machine's way to `ready`: each one begins at its step of a boot, and remains.

A fault is staged where it is in a rack: another server on the LAN, a firewall, a connection that is cut, a disk that is
missing, a database that is stopped. `FAULTS` has them by the name under which their boots are recorded.
"""

import asyncio
import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any, Final

from e2e.foreign_programs import GRUB_ARM64, GRUB_X64, add_arm64_grub, add_grub
from e2e.learned_durations import store_earlier_boots
from lab_lans import Servers
from postgresql import running_server

from netboot.client import ControlClient
from netboot.lab.lab import Lab, running_lab
from netboot.lab.lab_hosts import BIOS1, CP1, HTTP_PORT, W1, LabHost
from netboot.lab.lan.namespaces import APPLIANCE, BRIDGE, DHCP_CARD, Lan, dnsmasq_command, inside
from netboot.lab.machines.guest import Guest
from netboot.lab.machines.qemu import Firmware, LabMachine
from netboot.lab.media.stand_ins import RELEASE
from netboot.model.host.host import Role
from netboot.model.install.event import Step
from netboot.operate.arming import ArmRequest
from netboot.operate.one_time_boots import RescueRequest

BOOT_S: Final = 240.0  # generous: a busy box is four times slower
FOREIGN_SERVER: Final = IPv4Interface("192.0.2.5/24")
FOREIGN_FILE: Final = "grubnetx64.efi"  # runs, and stops at its prompt
FOREIGN_FILES: Final = Path("/usr/lib/grub/x86_64-efi/monolithic")
IPXE: Final = Path("/usr/lib/ipxe/snponly.efi")
NAMED_FILE: Final = "pxelinux.0"
OWN_LOADER: Final = "ipxe-own.efi"
TRANSLATED: Final = "192.0.2.77"  # of no machine
SLOW: Final = ("rate", "40mbit", "burst", "64kb", "latency", "100ms")  # the initrd takes about two seconds
LOG_PORT: Final = 514
OLD_S: Final = 25 * 3600.0  # a bootstrap token ends after 24 h

View = Mapping[str, Any]


@dataclass(slots=True)
class StagedBoot:
    """A lab whose one machine is armed and off; its events since then; what is stopped at its end."""

    lab: Lab
    daemon: ControlClient
    guest: Guest
    ends: ExitStack
    events: list[View] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def host(self) -> str:
        return self.guest.machine.name

    async def follow(self, after: int) -> None:
        """Collect events until this task is cancelled."""
        async for event in self.daemon.events(after=after):
            self.events.append(event)
            self._changed.set()

    async def event(self, name: str, *, timeout_s: float = BOOT_S, **data: object) -> View:
        """Return the first event of this name that has this data, and has occurred or occurs in time."""
        async with asyncio.timeout(timeout_s):
            while True:
                self._changed.clear()
                for event in self.events:
                    if event["event"] == name and data.items() <= {"step": event["step"], **event["data"]}.items():
                        return event
                await self._changed.wait()

    async def run(self, *command: str) -> str:
        """Run a program in the namespace of bridge and appliance."""
        words = inside(self.lab.lan.namespace, *command)
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=True, timeout=30)
        return str(done.stdout)

    async def filter(self, family: str, hook: str, rule: str) -> None:
        """Add one rule of nftables: to the frames that cross the bridge, or to the appliance's packets."""
        await self.run("nft", f"add table {family} fault")
        await self.run("nft", f"add chain {family} fault frames {{ type {hook}; }}")
        await self.run("nft", f"add rule {family} fault frames {rule}")


@dataclass(frozen=True, slots=True)
class Case:
    """A machine, what happens to its boot, and the LAN."""

    stage: Callable[[StagedBoot], Awaitable[None]]  # powers it on; a fault remains, also after the end of this
    cause: str | None = None  # the row of docs/causes.md; None: it boots
    host: LabHost = CP1
    lan_type: type[Lan] = Lan
    is_armed: bool = True
    add_loaders: Callable[[Path], object] | None = None  # into the appliance's own directory


class ForeignServerLan(Lan):
    """A LAN with another PXE server, which is a proxy as well and has a loader of its own."""

    def create(self) -> None:
        """Make its namespace too."""
        super().create()
        self.join(f"{self.prefix}-pxe", DHCP_CARD, FOREIGN_SERVER, bridge=BRIDGE)

    def servers(self, work: Path) -> Servers:
        """Give it too."""
        yield from super().servers(work)
        files = work / "foreign"
        files.mkdir()
        shutil.copy(FOREIGN_FILES / FOREIGN_FILE, files)
        options = (
            *(f"--interface={DHCP_CARD}", f"--dhcp-range={FOREIGN_SERVER.network.network_address},proxy"),
            *(f"--pxe-service=X86-64_EFI,another server,{FOREIGN_FILE}", "--enable-tftp", f"--tftp-root={files}"),
        )
        yield "pxe", inside(f"{self.prefix}-pxe", *dnsmasq_command(work / "leases-pxe", *options))


class NamedFileLan(Lan):
    """A LAN whose own DHCP server names a boot file for this appliance to send, and has iPXE ignore every proxy."""

    def servers(self, work: Path) -> Servers:
        """Give that DHCP server."""
        options = (f"--dhcp-boot={NAMED_FILE},,{APPLIANCE.ip}", "--dhcp-option-force=encap:175,176,1b")  # no-pxedhcp
        for name, command in super().servers(work):
            yield name, (*command, *options)


async def _foreign_server(boot: StagedBoot) -> None:
    """Another PXE server answers the loader first, which loads that server's file."""
    console = await boot.guest.power_on()
    await boot.event("boot.loader_sent")
    await boot.filter("bridge", "filter hook output priority 0", "ip protocol udp udp sport 67 counter drop")
    await console.wait_for("Welcome to GRUB", timeout_s=BOOT_S)


async def _blocked_tftp(boot: StagedBoot) -> None:
    """A firewall drops what does not come from a server's own port: every data packet of TFTP."""
    await boot.filter(
        "bridge", "filter hook output priority 0", "ip protocol udp udp sport != { 67, 69, 4011 } counter drop"
    )
    await boot.guest.power_on()
    await boot.event("boot.offered", stage="firmware")


async def _other_file(boot: StagedBoot) -> None:
    """The loader requests the file that the LAN's DHCP server names, and this appliance has no such file."""
    console = await boot.guest.power_on()
    await console.wait_for(NAMED_FILE, timeout_s=BOOT_S)


async def _other_cpu(boot: StagedBoot) -> None:
    """The host's loader is replaced by one for another CPU after the arming."""
    file = boot.lab.appliance.paths.loaders / OWN_LOADER
    await asyncio.to_thread(add_arm64_grub, file.parent)
    (file.parent / GRUB_ARM64).replace(file)
    await boot.daemon.reload()
    await boot.guest.power_on()
    await asyncio.sleep(10)


def _copy_loader(file: Path, loaders: Path) -> None:
    shutil.copy(file, loaders / OWN_LOADER)


async def _no_script(boot: StagedBoot) -> None:
    """The host's loader runs, and stops at its prompt."""
    console = await boot.guest.power_on()
    await console.wait_for("Welcome to GRUB", timeout_s=BOOT_S)


async def _missing_release(boot: StagedBoot) -> None:
    """The release is removed after the arming."""
    release = boot.lab.appliance.paths.content / "ostree" / RELEASE
    release.rename(release.parent.parent / "removed")
    await boot.guest.power_on()
    await boot.event("boot.script_served", plan="wait")


async def _cut_initrd(boot: StagedBoot) -> None:
    """Each transfer of the initrd is cut in its middle."""
    boot.lab.lan.add_tap(boot.guest.taps[0])
    await boot.run("tc", "qdisc", "add", "dev", boot.guest.taps[0], "root", "tbf", *SLOW)
    console = await boot.guest.power_on()
    at = 0
    while True:
        await console.wait_for("initrd.img...", timeout_s=BOOT_S, after=at)
        await asyncio.sleep(0.7)
        await boot.run("ss", "-K", "-t", "state", "established", f"( sport = :{HTTP_PORT} )")
        at = console.text.index("initrd.img...", at) + 1


async def _spent_kickstart(boot: StagedBoot) -> None:
    """The install is cancelled while the kernel is loaded, so the token of its Kickstart is invalid."""
    await boot.guest.power_on()
    await boot.event("boot.content_sent", step=Step.KERNEL)
    await boot.daemon.cancel(boot.host, reason="test")
    await boot.event("boot.token_refused", document="kickstart")


async def _translated_kickstart(boot: StagedBoot) -> None:
    """The address of the installer is translated: it is not one of the machine."""
    await boot.guest.power_on()
    await boot.event("boot.content_sent", step=Step.INITRD)
    await boot.filter(
        "ip", "nat hook input priority 100", f"ip daddr {APPLIANCE.ip} tcp dport {HTTP_PORT} snat to {TRANSLATED}"
    )
    await boot.event("boot.alarm_raised")


async def _missing_disk(boot: StagedBoot) -> None:
    """The machine has no disk."""
    await boot.guest.power_on()
    await boot.event("boot.checks_reported")


async def _expired_ignition(boot: StagedBoot) -> None:
    """The bootstrap token of the role's file ends while the machine is installed."""
    await boot.guest.power_on()
    await boot.event("install.moved", step=Step.INSTALLED)
    old_s = time.time() - OLD_S
    for file in (boot.lab.appliance.paths.directory / "ign").glob("*.ign"):
        os.utime(file, (old_s, old_s))
    await boot.event("boot.document_held_back")


async def _ignored_offers(boot: StagedBoot) -> None:
    """The firmware gets no offer of this appliance and sends DISCOVER again and again."""
    await boot.filter("bridge", "filter hook output priority 0", "ip protocol udp udp sport 67 counter drop")
    await boot.guest.power_on()
    await boot.event("boot.offered", stage="firmware")


async def _stopped_store(boot: StagedBoot) -> None:
    """The database is stopped after the offer."""
    await boot.guest.power_on()
    await boot.event("boot.offered", stage="firmware")
    await asyncio.to_thread(boot.ends.close)
    await boot.guest.console.wait_for("waits", timeout_s=BOOT_S)


OWN: Final = replace(CP1, loader=OWN_LOADER)
NO_DISK: Final = replace(CP1, machine=replace(CP1.machine, disks=()))

FAULTS: Final[Mapping[str, Case]] = {
    "foreign-server": Case(_foreign_server, "foreign-boot-server", lan_type=ForeignServerLan),
    "blocked-tftp": Case(_blocked_tftp, "tftp-blocked"),
    "other-file": Case(_other_file, "wrong-loader", lan_type=NamedFileLan),
    "other-cpu": Case(_other_cpu, "loader-for-another-cpu", OWN, add_loaders=partial(_copy_loader, IPXE)),
    "no-script": Case(_no_script, "no-script", OWN, add_loaders=partial(_copy_loader, FOREIGN_FILES / FOREIGN_FILE)),
    "missing-release": Case(_missing_release, "release-missing"),
    "cut-initrd": Case(_cut_initrd, "content-cut"),
    "spent-kickstart": Case(_spent_kickstart, "kickstart-refused"),
    "translated-kickstart": Case(_translated_kickstart, "kickstart-refused"),
    "missing-disk": Case(_missing_disk, "disk-missing", NO_DISK),
    "expired-ignition": Case(_expired_ignition, "secret-ended", W1),
    "ignored-offers": Case(_ignored_offers, "no-request"),
    "stopped-store": Case(_stopped_store, "store-unreachable"),
}


async def _installed(boot: StagedBoot) -> None:
    await boot.guest.power_on()
    await boot.event("install.moved", step=Step.READY)


async def _own_disk(boot: StagedBoot) -> None:
    """An installed machine boots its disk."""
    await _installed(boot)
    await boot.guest.power_off()
    console = await boot.guest.power_on()
    await console.wait_for("netboot-lab: ready", timeout_s=BOOT_S)


async def _rescued(boot: StagedBoot) -> None:
    await boot.daemon.one_time_boots.rescue(RescueRequest([boot.host]))
    console = await boot.guest.power_on()
    await console.wait_for("netboot-lab: rescue mode", timeout_s=BOOT_S)


GRUB: Final = LabHost(LabMachine("grub1", "52:54:00:aa:bb:05", Firmware.OVMF_HTTP), Role.WORKER, loader=GRUB_X64)

HEALTHY: Final[Mapping[str, Case]] = {
    "uefi-tftp": Case(_installed),
    "uefi-http": Case(_installed, host=W1),
    "uefi-http-grub": Case(_installed, host=GRUB, add_loaders=add_grub),
    "bios-ipxe-rescue": Case(_rescued, host=BIOS1, is_armed=False),
    "own-disk": Case(_own_disk),
}


@asynccontextmanager
async def staged(case: Case) -> AsyncIterator[StagedBoot]:
    """Run a lab with the machine of a case, which is off; the store has earlier boots, and logs are received."""
    with ExitStack() as ends:
        async with running_lab([case.host], say=print, lan_type=case.lan_type) as lab:
            await _restart(lab, ends if case.stage is _stopped_store else None)
            async with lab.appliance.control() as daemon:
                if case.add_loaders is not None:
                    await asyncio.to_thread(case.add_loaders, lab.appliance.paths.loaders)
                    await daemon.reload()
                boot = StagedBoot(lab, daemon, lab.guest(case.host.machine.name), ends)
                after = await daemon.last_event_id()
                if case.is_armed:
                    await daemon.arm(ArmRequest([boot.host], reason="test"))
                reader = asyncio.create_task(boot.follow(after))
                try:
                    yield boot
                finally:
                    reader.cancel()
                    await asyncio.gather(reader, return_exceptions=True)


async def _restart(lab: Lab, ends: ExitStack | None) -> None:
    """Restart the appliance with other settings and a store of earlier boots: PostgreSQL's, which `ends` stops."""
    await lab.appliance.stop()
    settings, key_file = lab.appliance.paths.settings, lab.appliance.paths.directory / "store.key"
    text = settings.read_text()
    url = re.search(r"url: (sqlite\S+)", text)[1]
    if ends is not None:
        server = await asyncio.to_thread(ends.enter_context, running_server())
        sqlite, url = url, await asyncio.to_thread(server.new_database)
        text = text.replace(sqlite, f"{url}\n  key_file: {key_file}")
    settings.write_text(f'{text}logs: {{listen: "0.0.0.0:{LOG_PORT}"}}\n')
    await store_earlier_boots(url, key_file)
    await lab.appliance.start()
