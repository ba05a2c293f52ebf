"""One lab: LAN, DHCP server, appliance and guests, made together and always removed together.

A lab that died is cleaned up by the next: its records below /run say what it left (see `records`).
"""

import asyncio
import os
import secrets
import shutil
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from netboot.content.assets import assets_directory
from netboot.errors import LabError
from netboot.lab.appliance import Appliance
from netboot.lab.lab_hosts import HTTP_PORT, LAB_HOSTS, AppliancePaths, LabHost, write_configuration
from netboot.lab.lan.bad_wire import BadWire
from netboot.lab.lan.lan_dhcp import (
    advertiser_command,
    dnsmasq_command,
    far_range,
    relay_command,
    second_dnsmasq_command,
)
from netboot.lab.lan.namespaces import PLAIN, Between, Lan, Wiring
from netboot.lab.machines.guest import Guest
from netboot.lab.media.loader_builds import GRUB_ARM64, GRUB_X64, SHIM_X64, add_arm64_grub, add_grub, add_shim
from netboot.lab.media.stand_ins import Say, build_media, cache_directory
from netboot.lab.packages import require_lab_packages
from netboot.lab.records import RUN_DIRECTORY, Records, all_records, locked
from netboot.lab.work import work_directory

SOCKET_NAME: Final = "control.sock"


class Lab:
    """A running lab, as its maker sees it, or a later command that joined it."""

    def __init__(self, records: Records, hosts: Iterable[LabHost], wiring: Wiring = PLAIN) -> None:
        self.records = records
        self.work = records.work
        self.lan = Lan(records.lab_id, wiring)
        paths = AppliancePaths(self.work / "appliance", self.work / "content", records.directory / SOCKET_NAME)
        self.appliance = Appliance(paths, self.lan, on_start=records.add_process)
        self.hosts = {host.machine.name: host for host in hosts}
        self.guests = {
            name: Guest(host.machine, self.lan, self.work / name, on_start=records.add_process)
            for name, host in self.hosts.items()
        }
        self.bad_wire: BadWire | None = None
        self._servers: list[Process] = []

    def guest(self, name: str) -> Guest:
        """Return one of its machines; raise LabError for a name that it has not."""
        try:
            return self.guests[name]
        except KeyError:
            raise LabError(f"the lab has no machine {name}; it has {', '.join(self.guests)}") from None

    async def start(self, content: Path, *, attempts: int) -> None:
        """Make the LAN, start its DHCP server and the appliance, and wait until that is ready."""
        # Hard links: what this lab serves stays, whatever happens to the cache, and costs no room.
        await asyncio.to_thread(
            shutil.copytree, content, self.appliance.paths.content, symlinks=True, copy_function=os.link
        )
        examples = assets_directory() / "examples"
        write_configuration(
            self.appliance.paths, self.hosts.values(), examples=examples, attempts=attempts, wiring=self.lan.wiring
        )
        await asyncio.to_thread(self._add_loaders)
        await asyncio.to_thread(self.lan.create)
        for what, command in self._lan_servers():
            with (self.work / f"{what}.log").open("ab") as log:
                server = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=log, stderr=log)
            self._servers.append(server)
            self.records.add_process(server.pid, what)
        if self.lan.wiring.between is Between.BAD_WIRE:
            self.bad_wire = BadWire(self.lan)
            self.bad_wire.start()
        await self.appliance.start()

    async def stop(self) -> None:
        """Switch everything off and remove it."""
        for guest in self.guests.values():
            await guest.power_off()
        await self.appliance.stop()
        for server in self._servers:
            if server.returncode is None:
                server.kill()
            await server.wait()
        if self.bad_wire is not None:
            self.bad_wire.close()
        await asyncio.to_thread(remove, self.records)

    def _add_loaders(self) -> None:
        loaders, pinned = self.appliance.paths.loaders, {host.loader for host in self.hosts.values()}
        if SHIM_X64 in pinned:
            add_shim(loaders, cache_directory())
        elif GRUB_X64 in pinned:
            add_grub(loaders, http_port=HTTP_PORT)
        if GRUB_ARM64 in pinned:
            add_arm64_grub(loaders, cache_directory())

    def _lan_servers(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        wiring, leases = self.lan.wiring, self.work / "leases"
        is_relayed = wiring.between is Between.RELAY
        extra = (far_range(),) if is_relayed else ()
        plain = dnsmasq_command(leases, *extra) if wiring.dhcp_servers else advertiser_command(leases)
        yield "dhcp", self.lan.inside_dhcp(*plain)
        if wiring.dhcp_servers > 1:
            yield "dhcp2", self.lan.inside_second_dhcp(*second_dnsmasq_command(self.work / "leases2"))
        if is_relayed:
            yield "relay", self.lan.inside_router(*relay_command(self.work / "leases-relay"))


@asynccontextmanager
async def running_lab(
    hosts: Iterable[LabHost] = LAB_HOSTS,
    *,
    say: Say,
    name: str | None = None,
    attempts: int = 3,
    wiring: Wiring = PLAIN,
) -> AsyncIterator[Lab]:
    """Run a lab with these hosts, nobody armed and nobody switched on; remove it at the end, whatever happens."""
    require_lab_packages()
    await asyncio.to_thread(remove_remains)
    content = await asyncio.to_thread(build_media, say)
    lab_id = name or secrets.token_hex(3)
    with work_directory(cache_directory() / "labs", lab_id) as work:
        try:
            records = Records.create(lab_id, work)
        except FileExistsError:
            raise LabError(f"a lab named {lab_id} is up already; end it with `netboot lab down`") from None
        lab = Lab(records, hosts, wiring)
        try:
            await lab.start(content, attempts=attempts)
            yield lab
        except Exception as fault:
            fault.add_note(f"the appliance's log ends:\n{lab.appliance.log_tail()}")  # it is removed with the lab
            raise
        finally:
            await lab.stop()


def remove_remains() -> tuple[str, ...]:
    """Remove every lab whose maker is gone, and return their names."""
    with locked(RUN_DIRECTORY / ".remains.lock"):  # two labs may start at once
        dead = [records for records in all_records() if not records.owner.is_alive]
        for records in dead:
            remove(records)
    return tuple(records.lab_id for records in dead)


def remove(records: Records) -> None:
    """End the processes of a lab, remove its namespaces and its files."""
    for process in records.processes():
        process.end()
    Lan(records.lab_id).remove()
    records.remove()
