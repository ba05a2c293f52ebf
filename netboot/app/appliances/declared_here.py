"""Reads what this appliance declares, as fingerprints: of the meaning of its hosts, and of the content they name.

File names, comments and the order of keys change no fingerprint; a role's Ignition file is in it by its content. They
are made with the store's key, so that a copy of the store without the key reveals nothing of a host.
"""

import json
from collections.abc import Callable, Mapping, Set
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final

from netboot.boot.documents.host_content import content_problem
from netboot.boot.documents.role_files import RoleFiles
from netboot.content.ostree.repository import read_ref
from netboot.errors import ContentError, raise_without_descriptor
from netboot.model.appliances.known_appliance import Declaration
from netboot.model.host.host import Host, HostSet
from netboot.model.release import EntryKind
from netboot.store.sealing.sealing import Sealing

_NOT_COMPARED: Final = {"declared_at", "faults", "ignition"}
_MISSING: Final = "missing"
CLUSTER: Final = "the cluster"


class DeclaredHere:
    """Reads the files of one appliance; of hosts that did not change nothing is computed again."""

    def __init__(self, hosts: Callable[[], HostSet], content: Path, sealing: Sealing) -> None:
        self._hosts, self._content, self._sealing = hosts, content, sealing
        self._role_files = RoleFiles()
        self._of: tuple[HostSet | None, Mapping[Path, str], Mapping[str, str]] = (None, {}, {})

    def read(self) -> Declaration:
        """Read and compute. Blocks: a few small files, and a millisecond for ten hosts if they changed.

        Raises DescriptorsError if no descriptor is left to open one: nothing is known of it then.
        """
        hosts = self._hosts()
        files = {path: self._file(path) for path in {host.ignition for host in hosts if host.ignition is not None}}
        known, known_files, found = self._of
        if known is not hosts or known_files != files:
            found = {host.name: self._fingerprint(_meaning(host, files)) for host in hosts}
            found[CLUSTER] = self._fingerprint([hosts.cluster.name, hosts.cluster.init])
            self._of = hosts, files, found
        return Declaration(found, self._content_of(hosts), self._sealing.key_digest)

    def _file(self, path: Path) -> str:
        try:
            return self._sealing.fingerprint(self._role_files.read_if_changed(path).sha256)
        except OSError as error:
            raise_without_descriptor(error)
            return _MISSING

    def _fingerprint(self, meaning: object) -> str:
        return self._sealing.fingerprint(json.dumps(meaning, sort_keys=True, default=_plain).encode())

    def _content_of(self, hosts: HostSet) -> dict[str, str]:
        releases = {host.local_release for host in hosts if host.local_release is not None}
        media = {host.boot_media for host in hosts if host.boot_media is not None}
        found = {f"release {name}": self._commit(name) for name in releases}
        return found | {f"medium {name}": self._medium(name) for name in media}

    def _commit(self, release: str) -> str:
        try:
            return read_ref(EntryKind.RELEASE.path(self._content, release), release)[1]
        except (ContentError, OSError) as error:
            raise_without_descriptor(error)
            return _MISSING

    def _medium(self, name: str) -> str:
        problem = content_problem(self._content, name, None)
        if problem is None:
            return "here"
        raise_without_descriptor(problem)
        return _MISSING


def _meaning(host: Host, files: Mapping[Path, str]) -> object:
    values = {each.name: getattr(host, each.name) for each in fields(host) if each.name not in _NOT_COMPARED}
    return [values, files.get(host.ignition) if host.ignition is not None else None]


def _plain(value: Any) -> object:
    match value:
        case Path():
            return None  # files may be elsewhere on each appliance
        case Mapping():
            return dict(value)
        case Set():
            return sorted(map(str, value))
        case _ if is_dataclass(value):
            return {each.name: getattr(value, each.name) for each in fields(value)}
        case _:
            return str(value)
