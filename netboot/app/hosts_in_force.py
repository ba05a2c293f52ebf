"""Chooses the hosts to serve while a hosts file is faulty: those accepted last, else those without a fault.

The same rule applies to start and reload. Accepted hosts are kept in the store, so a restart has them too. The address
that a host gets from a pool is recorded in the store before the host is in force.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from netboot.errors import StoreError
from netboot.model.host.address_pool import Allocation
from netboot.model.host.host import HostName, HostSet
from netboot.registry.allocation import NONE_RECORDED, Recorded
from netboot.registry.host_files import HostsFile
from netboot.registry.load import Configuration, WrittenFiles, build, load_accepted, read_written
from netboot.store.accepted_files import AcceptedFiles
from netboot.store.allocations import Allocations
from netboot.store.nodes.installed_nodes import Nodes
from netboot.store.served_documents import ServedDocuments

log = structlog.get_logger()

ATTEMPTS: Final = 5  # to record addresses against other daemons on the same store
_NAMED_HOSTS: Final = 10  # in a warning
_OVERTAKEN: Final = "cannot record the addresses of hosts: another daemon records some at the same time; try again"


class HostsInForce:
    """Chooses the hosts to serve. Methods raise StoreError if the store fails."""

    def __init__(
        self,
        accepted: AcceptedFiles,
        allocations: Allocations,
        served: ServedDocuments,
        nodes: Nodes,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._accepted = accepted
        self._allocations = allocations
        self._served = served
        self._nodes = nodes
        self._now = now

    async def read(self, path: Path) -> Configuration:
        """Read the files of the configuration at `path`, then as `build`. Raises ConfigError for `netboot.yaml`."""
        return await self.build(await asyncio.to_thread(read_written, path))

    async def build(self, written: WrittenFiles) -> Configuration:
        """Build the hosts of these files; if they have no fault, record the addresses that hosts newly get."""
        if not written.declared.has_pools:
            return await asyncio.to_thread(build, written, NONE_RECORDED)
        return await self._recorded(partial(build, written), is_used=lambda built: not built.faults)

    async def at_start(self, read: Configuration) -> Configuration:
        """Return the configuration to serve at the start, with recorded addresses."""
        if not read.faults:
            return read
        kept = await self.last_accepted(read, is_recording=True)
        if kept is not None:
            log.error("config.last_accepted_used", hosts=len(kept.hosts))
            return kept
        log.error("config.hosts_left_out", hosts=len(read.hosts), left_out=sorted(read.left_out))
        if not await self._allocations.record(read.allocations, at=self._now()):
            raise StoreError(_OVERTAKEN)
        _log_new(read.allocations)
        return read

    async def last_accepted(self, read: Configuration, *, is_recording: bool = False) -> Configuration | None:
        """Return what was read with the hosts that were accepted last; None if none were.

        With `is_recording`, the addresses that they newly get from pools are recorded.
        """
        files = [HostsFile(path, text) for path, text in await self._accepted.all()]
        if not files:
            return None
        if not is_recording:
            return _with_accepted(read, files, await self._allocations.all())
        return await self._recorded(partial(_with_accepted, read, files), is_used=lambda _: True)

    async def keep_accepted(self, read: Configuration, *, forgets: bool) -> None:
        """Store a configuration without a fault for the next start; log an error of the store.

        With `forgets`, what hosts were served that it does not declare is deleted, and what is known of their nodes.
        """
        if read.faults:
            return
        try:
            await self._accepted.keep([(file.path, file.text or "") for file in read.texts])
            if forgets:
                await self._served.keep_only(read.hosts.hosts.keys())
                await self._nodes.keep_only(read.hosts.hosts.keys())
        except StoreError as error:
            log.error("config.not_kept", reason=str(error))

    async def _recorded(
        self, build_on: Callable[[Recorded], Configuration], *, is_used: Callable[[Configuration], bool]
    ) -> Configuration:
        """Build a configuration on the recorded addresses and record its new ones; again if another was first."""
        for _ in range(ATTEMPTS):
            built = await asyncio.to_thread(build_on, await self._allocations.all())
            if not is_used(built):
                return built
            if await self._allocations.record(built.allocations, at=self._now()):
                _log_new(built.allocations)
                return built
        raise StoreError(_OVERTAKEN)


def _with_accepted(read: Configuration, files: Sequence[HostsFile], recorded: Recorded) -> Configuration:
    hosts, allocations = load_accepted(files, recorded)
    registered = {mac for host in hosts for mac in host.macs}
    left_out = read.left_out - registered
    return replace(read, hosts=hosts, left_out=left_out, hides_hosts=False, allocations=allocations)


def _log_new(allocations: Sequence[Allocation]) -> None:
    new = [f"{each.host} {each.address}" for each in allocations if not each.is_recorded]
    if new:
        log.info("config.addresses_allocated", count=len(new), addresses=new[:_NAMED_HOSTS])


def warn_of_removed(before: HostSet, after: HostSet, *, disarmed: Collection[HostName]) -> list[str]:
    """Log and return a warning if a reload removed all hosts, or hosts that were armed."""
    removed = [host.name for host in before if after.get(host.name) is None]
    armed = [name for name in removed if name in disarmed]
    warnings = []
    if removed and not len(after):
        warnings.append(f"no host is declared any longer; removed: {listed(removed)}")
    if armed:
        warnings.append(f"armed hosts are no longer declared, so their armings ended: {listed(armed)}")
    warnings = [f"{warning}; if that is a mistake, restore the hosts files and reload" for warning in warnings]
    for warning in warnings:
        log.warning("config.hosts_removed", reason=warning)
    return warnings


def listed(names: Sequence[str]) -> str:
    """Write the first of some names, and how many more there are."""
    more = len(names) - _NAMED_HOSTS
    return ", ".join(sorted(names)[:_NAMED_HOSTS]) + (f" and {more} more" if more > 0 else "")
