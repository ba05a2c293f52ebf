"""Verifies the whole configuration as changed files would make it, before a file is written."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from netboot.errors import ConfigError, Problem
from netboot.model.host.host import HostSet
from netboot.registry.allocation import NONE_RECORDED, Recorded
from netboot.registry.host_files import NO_CHANGES, Changes
from netboot.registry.hosts import build_hosts
from netboot.registry.load import DeclaredFiles, read_declared
from netboot.yamlfile.faults import Faults

_LINE: Final = re.compile(r":[0-9]+:[0-9]+\b")  # of another entry, in a message


def read_sound(config: Path, faults: Faults, changes: Changes = NO_CHANGES) -> DeclaredFiles:
    """Read all files, or what `changes` would make of them; raise ConfigError for a fault in `netboot.yaml`."""
    found = read_declared(config, faults, changes=changes)
    if not found.is_sound:
        raise ConfigError(faults.problems)
    return found


def refuse_new_faults(
    config: Path,
    changes: Changes,
    *,
    before: DeclaredFiles,
    faults_before: Faults,
    recorded: Callable[[], Recorded],
) -> HostSet:
    """Return the hosts with these changes; raise ConfigError with the faults that they would add to the present ones.

    `faults_before` has those of reading them; those of their hosts are added if they are needed. `recorded` reads the
    addresses that hosts have from pools.
    """
    after = Faults()
    found = read_sound(config, after, changes)
    addresses = recorded() if found.declared.has_pools else NONE_RECORDED
    hosts = build_hosts(found.declared, after, addresses).hosts
    if after:
        build_hosts(before.declared, faults_before, addresses)
        known = set(map(_identity, faults_before.problems))
        if new := [fault for fault in after.problems if _identity(fault) not in known]:
            raise ConfigError(new)
    return hosts


def _identity(fault: Problem) -> tuple[str, str, str]:
    """Return what identifies a fault when the lines of its file move."""
    return fault.file, fault.where, _LINE.sub("", fault.what)
