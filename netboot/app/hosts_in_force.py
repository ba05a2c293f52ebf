"""Chooses the hosts to serve while a hosts file is faulty: those accepted last, else those without a fault.

The same rule applies to start and reload. Accepted hosts are kept in the store, so a restart has them too.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import structlog

from netboot.errors import StoreError
from netboot.model.host.host import HostName, HostSet
from netboot.registry.host_files import HostsFile
from netboot.registry.load import Configuration, load_accepted
from netboot.store.accepted_files import AcceptedFiles

log = structlog.get_logger()

_NAMED_HOSTS: Final = 10  # in a warning


async def in_force(read: Configuration, accepted: AcceptedFiles) -> Configuration:
    """Return the configuration to serve at the start. Raises StoreError."""
    if not read.faults:
        return read
    kept = await last_accepted(read, accepted)
    if kept is not None:
        log.error("config.last_accepted_used", hosts=len(kept.hosts))
        return kept
    log.error("config.hosts_left_out", hosts=len(read.hosts), left_out=sorted(read.left_out))
    return read


async def last_accepted(read: Configuration, accepted: AcceptedFiles) -> Configuration | None:
    """Return what was read with the hosts that were accepted last; None if none were. Raises StoreError."""
    files = [HostsFile(path, text) for path, text in await accepted.all()]
    if not files:
        return None
    hosts = load_accepted(files)
    registered = {mac for host in hosts for mac in host.macs}
    return replace(read, hosts=hosts, left_out=read.left_out - registered, hides_hosts=False)


async def keep_accepted(read: Configuration, accepted: AcceptedFiles) -> None:
    """Store a configuration without a fault for the next start; log an error of the store."""
    if read.faults:
        return
    try:
        await accepted.keep([(file.path, file.text or "") for file in read.texts])
    except StoreError as error:
        log.error("config.not_kept", reason=str(error))


def warn_of_removed(before: HostSet, after: HostSet, *, disarmed: Collection[HostName]) -> list[str]:
    """Log and return a warning if a reload removed all hosts, or hosts that were armed."""
    removed = [host.name for host in before if after.get(host.name) is None]
    armed = [name for name in removed if name in disarmed]
    warnings = []
    if removed and not len(after):
        warnings.append(f"no host is declared any longer; removed: {_named(removed)}")
    if armed:
        warnings.append(f"armed hosts are no longer declared, so their armings ended: {_named(armed)}")
    warnings = [f"{warning}; if that is a mistake, restore the hosts files and reload" for warning in warnings]
    for warning in warnings:
        log.warning("config.hosts_removed", reason=warning)
    return warnings


def _named(names: Sequence[HostName]) -> str:
    more = len(names) - _NAMED_HOSTS
    return ", ".join(sorted(names)[:_NAMED_HOSTS]) + (f" and {more} more" if more > 0 else "")
