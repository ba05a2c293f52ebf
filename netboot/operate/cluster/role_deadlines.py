"""Reads when the secrets in the hosts' Ignition files end, for what is shown to an operator."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from netboot.boot.documents.role_files import RoleFiles
from netboot.model.host.host import Host, HostName
from netboot.model.host.role_ignition import Deadline


def deadlines_of(hosts: Iterable[Host]) -> Mapping[HostName, Sequence[Deadline]]:
    """Return the deadlines of each host's file; none of one that cannot be read. Reads each file once."""
    files = RoleFiles()

    @cache
    def read(path: Path) -> Sequence[Deadline]:
        try:
            return files.read(path).deadlines
        except OSError:  # the readiness of its hosts has the reason
            return ()

    return {host.name: () if host.ignition is None else read(host.ignition) for host in hosts}
