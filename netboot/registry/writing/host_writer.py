"""Adds, changes and removes hosts by files of their own: `hosts.d/NAME.yaml`.

Before a file is written, the whole configuration is read with it: a change that makes a new fault is refused, and no
file is changed. A host that a person declared is refused with the place of its declaration. The methods block: they are
called in a thread.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic_core import PydanticCustomError

from netboot.errors import ConfigError, HostFileError, UnknownHostError
from netboot.model.host.host import Host, HostFileChange, HostName
from netboot.registry.allocation import NONE_RECORDED, Recorded
from netboot.registry.host_files import HostsFile
from netboot.registry.host_values import host_name
from netboot.registry.load import DeclaredFiles, directory_of_hosts
from netboot.registry.writing.host_document import Values, host_text, patched, values_in
from netboot.registry.writing.hosts_directory import HostsDirectory, locked_directory
from netboot.registry.writing.new_faults import read_sound, refuse_new_faults
from netboot.yamlfile.faults import Faults, Place, did_you_mean, shown
from netboot.yamlfile.files import read_text


@dataclass(frozen=True, slots=True)
class _Files:
    """The locked directory, and all files as they are before the change."""

    directory: HostsDirectory
    found: DeclaredFiles
    faults: Faults  # of reading them; those of their hosts are added when they are needed

    def path(self, name: str) -> Path:
        return self.directory.path / f"{name}.yaml"

    def own_file(self, name: str) -> HostsFile:
        """Return the file that declares a host, if a command wrote it; raise HostFileError or UnknownHostError."""
        entries, path = self.found.declared.table("hosts").entries, self.path(name)
        if name not in entries:
            if unreadable := [fault for fault in self.faults.problems if fault.file == str(path)]:
                raise ConfigError(unreadable)
            raise UnknownHostError(f"no host is called {name}; {did_you_mean(name, entries)}")
        place = entries[name].key.place
        if place.file != str(path):
            raise HostFileError(_declared_by_a_person(name, str(place), path))
        return next(file for file in self.found.declared.files if file.path == place.file)


class HostWriter:
    """The files of one configuration."""

    def __init__(self, config: Path, *, recorded: Callable[[], Recorded] = lambda: NONE_RECORDED) -> None:
        """`recorded` reads the addresses that hosts have from pools; it raises StoreError, and so does each change."""
        self._config = config
        self._recorded = recorded

    def names(self) -> frozenset[str]:
        """Return the names that the files declare now; raise ConfigError for a fault in `netboot.yaml`."""
        return frozenset(read_sound(self._config, Faults()).declared.table("hosts").entries)

    def add(self, hosts: Mapping[str, Values], *, is_rehearsal: bool = False) -> list[HostFileChange]:
        """Declare new hosts, all or none; with `is_rehearsal` verify and return the texts, but write nothing."""
        for name in hosts:
            _check_name(name)
        with self._opened() as files:
            for name in hosts:
                self._check_is_new(name, files)
            changes = [
                HostFileChange(HostName(name), files.path(name), host_text(name, patched({}, values)))
                for name, values in hosts.items()
            ]
            return self._applied(changes, files, is_rehearsal=is_rehearsal)

    def edit(self, name: str, patch: Values) -> HostFileChange:
        """Change keys of a host by a JSON merge patch (RFC 7396)."""
        with self._opened() as files:
            values = values_in(name, files.own_file(name))
            change = HostFileChange(HostName(name), files.path(name), host_text(name, patched(values, patch)))
            return self._applied([change], files)[0]

    def remove(self, name: str, *, is_rehearsal: bool = False) -> HostFileChange:
        """Delete the file of a host; with `is_rehearsal` only verify that it can be removed."""
        with self._opened() as files:
            values_in(name, files.own_file(name))
            change = HostFileChange(HostName(name), files.path(name), None)
            return self._applied([change], files, is_rehearsal=is_rehearsal)[0]

    def removal_refusals(self, hosts: Sequence[Host]) -> dict[HostName, str]:
        """Return why the files of these hosts are not deleted, for each that is not; reads no other file.

        Without the faults that other files would have without a host, which `remove` finds.
        """
        try:
            directory = directory_of_hosts(self._config)
        except (ConfigError, HostFileError) as error:
            return {host.name: str(error) for host in hosts}
        return {host.name: refusal for host in hosts if (refusal := _removal_refusal(host, directory))}

    @contextmanager
    def _opened(self) -> Iterator[_Files]:
        with locked_directory(directory_of_hosts(self._config)) as directory:
            faults = Faults()
            yield _Files(directory, read_sound(self._config, faults), faults)

    def _check_is_new(self, name: str, files: _Files) -> None:
        entry = files.found.declared.table("hosts").entries.get(name)
        if entry is not None:
            raise HostFileError(f"{entry.key.place}: {name} is declared already; netboot host set {name}")
        path = files.path(name)
        if path.exists() or path.is_symlink():
            raise HostFileError(f"cannot add {name}: {path} is there already, without this host; remove that file")

    def _applied(
        self, changes: list[HostFileChange], files: _Files, *, is_rehearsal: bool = False
    ) -> list[HostFileChange]:
        """Verify the configuration with the changes, then write them. Raises ConfigError with the new faults."""
        hosts = refuse_new_faults(
            self._config,
            {change.file: change.text for change in changes},
            before=files.found,
            faults_before=files.faults,
            recorded=self._recorded,
        )
        if not is_rehearsal:
            files.directory.apply({change.file.name: change.text for change in changes})
        return [
            replace(change, disk=host.disk) if (host := hosts.get(change.host)) is not None else change
            for change in changes
        ]


def _removal_refusal(host: Host, directory: Path) -> str | None:
    path = directory / f"{host.name}.yaml"
    if host.declared_at.rsplit(":", 2)[0] != str(path):
        return _declared_by_a_person(host.name, host.declared_at, path)
    faults = Faults()
    text = read_text(path, faults, place=Place(str(path)))
    if text is None:
        is_gone = not os.path.lexists(path)
        gone = f"{path}, which declared {host.name}, is no longer there; netboot reload"
        return gone if is_gone else str(faults.problems[0])
    try:
        values_in(host.name, HostsFile(str(path), text))
    except HostFileError as error:
        return str(error)
    return None


def _declared_by_a_person(name: str, place: str, path: Path) -> str:
    file = place.rsplit(":", 2)[0]
    return (
        f"{place}: {name} was declared here by a person, and commands change only {path}; edit {file}, then "
        "netboot reload"
    )


def _check_name(name: str) -> None:
    try:
        host_name(name)
    except PydanticCustomError as error:
        parts = error.context or {}
        raise HostFileError(f"cannot add {shown(name)}: {parts.get('what')}; {parts.get('cure')}") from None
