"""One lab: LAN, DHCP server, appliance and guests, started together and always removed together.

The next lab removes the remains of a killed one, which its records below /run list (see `records`).
"""

import asyncio
import os
import secrets
import shutil
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from netboot.errors import LabError
from netboot.lab.appliance import Appliance
from netboot.lab.lab_hosts import CP1, LAB_HOSTS, W1, AppliancePaths, LabHost, write_configuration
from netboot.lab.lan.namespaces import Lan
from netboot.lab.machines.follow import OnChange, boot_to_the_end
from netboot.lab.machines.guest import Guest
from netboot.lab.machines.timeline import BootTimeline
from netboot.lab.media.stand_ins import Say, build_media, cache_directory
from netboot.lab.records import RUN_DIRECTORY, Records, all_records, locked, work_directory
from netboot.model.install.ignition_way import IgnitionWay
from netboot.operate.arming import ArmRequest

# Debian packages, each with a file that shows that it is installed.
PACKAGES: Final[Mapping[str, str]] = {
    "qemu-system-x86": "/usr/bin/qemu-system-x86_64",
    "ovmf": "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "seabios": "/usr/share/seabios/bios-256k.bin",
    "ipxe": "/usr/lib/ipxe/snponly.efi",
    "ipxe-qemu": "/usr/lib/ipxe/qemu/pxe-virtio.rom",
    "dnsmasq-base": "/usr/sbin/dnsmasq",
    "ostree": "/usr/bin/ostree",
    "ignition": "/usr/lib/dracut/modules.d/30ignition/ignition",
    "busybox-static": "/bin/busybox",
    "curl": "/usr/bin/curl",
    "xfsprogs": "/usr/sbin/mkfs.xfs",
    "dosfstools": "/usr/sbin/mkfs.vfat",
    "fdisk": "/usr/sbin/sfdisk",
    "efibootmgr": "/usr/bin/efibootmgr",
    "systemd-boot-efi": "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
    "squashfs-tools": "/usr/bin/mksquashfs",
    "kmod": "/usr/sbin/depmod",
    "zstd": "/usr/bin/zstd",
    "cpio": "/usr/bin/cpio",
    "passwd": "/usr/sbin/useradd",
    "util-linux": "/usr/bin/nsenter",
}


class Lab:
    """A running lab, for the process that started it or a command that joined it."""

    def __init__(self, records: Records, hosts: Iterable[LabHost], lan_type: type[Lan] = Lan) -> None:
        self.records = records
        self.work = records.work
        self.lan = lan_type(records.lab_id)
        paths = AppliancePaths(self.work / "appliance", self.work / "content", records.directory / "control.sock")
        self.appliance = Appliance(paths, self.lan)
        self.hosts = {host.machine.name: host for host in hosts}
        self.guests = {name: Guest(host.machine, self.lan, self.work / name) for name, host in self.hosts.items()}
        self._servers: list[Process] = []

    def guest(self, name: str) -> Guest:
        try:
            return self.guests[name]
        except KeyError:
            raise LabError(f"the lab has no machine {name}; it has {', '.join(self.guests)}") from None

    async def start(self, content: Path, *, attempts: int, ignition: IgnitionWay = IgnitionWay.URL) -> None:
        """Make the LAN, start its DHCP server and the appliance, and wait until that is ready."""
        # Hard links: this lab's content remains if the cache changes, and needs no disk space.
        links = partial(shutil.copytree, symlinks=True, copy_function=os.link)
        await _run_to_end(asyncio.to_thread(links, content, self.appliance.paths.content))
        write_configuration(
            self.appliance.paths,
            self.hosts.values(),
            attempts=attempts,
            ignition=ignition,
            dhcp=self.lan.dhcp_settings,
        )
        await _run_to_end(asyncio.to_thread(self.lan.create))
        for what, command in self.lan.servers(self.work):
            with (self.work / f"{what}.log").open("ab") as log:
                server = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=log, stderr=log)
            self._servers.append(server)
        await self.appliance.start()

    async def stop(self) -> None:
        for guest in self.guests.values():
            await guest.power_off()
        await self.appliance.stop()
        for server in self._servers:
            if server.returncode is None:
                server.kill()
            await server.wait()
        await asyncio.to_thread(remove, self.records)


async def _run_to_end(work: Coroutine[Any, Any, object]) -> None:
    """Run `work`. If the caller is cancelled, once or several times, wait for `work` to end, then raise."""
    running = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait({running})  # unlike gather and await, it does not pass the cancellation on
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from running.exception()
    await running


@asynccontextmanager
async def running_lab(
    hosts: Iterable[LabHost] = LAB_HOSTS,
    *,
    say: Say,
    name: str | None = None,
    attempts: int = 3,
    ignition: IgnitionWay = IgnitionWay.URL,
    lan_type: type[Lan] = Lan,
) -> AsyncIterator[Lab]:
    """Run a lab with these hosts, none armed and none powered on; always remove it at the end."""
    require_lab_packages()
    await asyncio.to_thread(remove_remains)
    content = await asyncio.to_thread(build_media, say)
    lab_id = name or secrets.token_hex(3)
    with work_directory(cache_directory() / "labs", lab_id) as work:
        try:
            records = Records.create(lab_id, work)
        except FileExistsError:
            raise LabError(f"a lab named {lab_id} is up already; end it with `netboot lab down`") from None
        lab = Lab(records, hosts, lan_type)
        try:
            await lab.start(content, attempts=attempts, ignition=ignition)
            yield lab
        except Exception as fault:
            fault.add_note(f"the appliance's log ends:\n{lab.appliance.log_tail()}")  # the log is removed with the lab
            raise
        finally:
            await _run_to_end(lab.stop())  # make and timeout send SIGTERM to the whole group and again to each


async def run_demo(*, say: Say, on_change: OnChange) -> dict[str, BootTimeline]:
    """Install a control-plane node (UEFI PXE) and a worker (UEFI HTTP boot); raise LabError if one stalls."""
    async with running_lab((CP1, W1), say=say) as lab, lab.appliance.control() as daemon:
        await daemon.arm(ArmRequest([*lab.guests], "demo"))
        return await boot_to_the_end(daemon, lab.guests.values(), on_change=on_change)


def remove_remains() -> tuple[str, ...]:
    """Remove every lab whose process has ended, and return their names."""
    with locked(RUN_DIRECTORY / ".remains.lock"):  # two labs may start at once
        dead = [records for records in all_records() if not records.is_running]
        for records in dead:
            remove(records)
    return tuple(records.lab_id for records in dead)


def remove(records: Records) -> None:
    """Remove the namespaces and files of a lab whose processes have ended."""
    Lan(records.lab_id).remove()
    records.remove()


def require_lab_packages(packages: Mapping[str, str] = PACKAGES) -> None:
    """Raise LabError with the command to run if a requirement is missing."""
    if os.geteuid() != 0:
        raise LabError("cannot make the lab's network namespaces: this is not root; run it with sudo")
    missing = [package for package, file in packages.items() if not Path(file).exists()]
    if missing:
        raise LabError(f"the lab needs packages: apt-get install --no-install-recommends {' '.join(missing)}")
