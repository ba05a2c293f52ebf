"""Reads a whole configuration: `netboot.yaml` and the hosts files that it names, into Settings and a HostSet.

`load` either returns everything or raises every fault of every file at once; `read` leaves faulty hosts out.
Both only read files: a reload calls them in a thread and puts the result in force, or keeps the previous one.
"""

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from netboot.errors import ConfigError, HostFileError, Problem, UnknownHostError
from netboot.model.host.address_pool import Allocation
from netboot.model.host.host import HostName, HostSet
from netboot.model.host.mac import Mac
from netboot.registry.allocation import NONE_RECORDED, Recorded
from netboot.registry.cluster.cluster_files import Contents
from netboot.registry.faulty import faulty_hosts, macs_of_faulty
from netboot.registry.host_files import (
    NO_CHANGES,
    SUFFIXES,
    Changes,
    Declared,
    HostsFile,
    NamedFile,
    declare,
    list_and_read,
)
from netboot.registry.hosts import AS_WRITTEN, build_hosts
from netboot.registry.value_origins import ExplainedValue, explained_values
from netboot.settings.settings import Settings, read_settings
from netboot.yamlfile.faults import Faults, did_you_mean
from netboot.yamlfile.nodes import Listing, Node, Table, find


@dataclass(frozen=True, slots=True)
class Configuration:
    settings: Settings
    hosts: HostSet
    files: tuple[Path, ...]  # every file that was read, netboot.yaml first
    texts: tuple[HostsFile, ...] = ()  # of the hosts files, by absolute path
    faults: tuple[Problem, ...] = ()  # of the hosts files; the affected hosts are not in `hosts`
    left_out: frozenset[Mac] = frozenset()  # every MAC that such a host names
    warnings: tuple[Problem, ...] = ()  # about accepted values that should be corrected
    hides_hosts: bool = False  # some file cannot be read at all, so not every such MAC is known
    allocations: tuple[Allocation, ...] = ()  # the addresses that `hosts` have from pools
    tree: Node | None = None  # of netboot.yaml, which has the places of its settings


@dataclass(frozen=True, slots=True)
class DeclaredFiles:
    """The files of a configuration as they were read, before hosts are made of them."""

    settings: Settings
    named: tuple[NamedFile, ...]
    files: tuple[Path, ...]
    declared: Declared
    is_sound: bool  # netboot.yaml has no fault
    tree: Node | None  # of netboot.yaml


@dataclass(frozen=True, slots=True)
class WrittenFiles:
    """The files of a configuration without a fault in `netboot.yaml`, and the faults and warnings so far."""

    settings: Settings
    files: tuple[Path, ...]
    declared: Declared
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    tree: Node | None = None  # of netboot.yaml


@dataclass(frozen=True, slots=True)
class ExplainedHost:
    """The values of a host as its files have them, and the faults that affect it."""

    values: Sequence[ExplainedValue]
    faults: Sequence[Problem]


def load(path: Path, recorded: Recorded = NONE_RECORDED) -> Configuration:
    """Read the configuration that begins at `path`; raise ConfigError with every fault of every file."""
    configuration = read(path, recorded)
    if configuration.faults:
        raise ConfigError(configuration.faults)
    return configuration


def read(path: Path, recorded: Recorded = NONE_RECORDED, *, contents: Contents = AS_WRITTEN) -> Configuration:
    """Read the configuration at `path` without hosts that a fault affects; ConfigError for one in `netboot.yaml`.

    `contents` are read instead of Ignition files that will be replaced.
    """
    return build(read_written(path), recorded, contents=contents)


def read_written(path: Path) -> WrittenFiles:
    """Read the files of the configuration at `path`; ConfigError, also with their faults, for one in `netboot.yaml`."""
    faults = Faults()
    with _collector_paused():
        found = read_declared(path, faults)
        if not found.is_sound:
            build_hosts(found.declared, faults, NONE_RECORDED)
            raise ConfigError(faults.problems)
    files, problems, warnings = (path, *found.files), tuple(faults.problems), tuple(faults.warnings)
    return WrittenFiles(found.settings, files, found.declared, problems, warnings, found.tree)


def build(written: WrittenFiles, recorded: Recorded, *, contents: Contents = AS_WRITTEN) -> Configuration:
    """Build the hosts without those that a fault affects; `recorded`: the addresses that hosts were given before.

    `contents` are used instead of Ignition files that will be replaced.
    """
    faults = Faults([*written.problems], [*written.warnings])
    declared = written.declared
    with _collector_paused():
        built = build_hosts(declared, faults, recorded, contents=contents)
    problems = tuple(sorted(faults.problems))
    faulty = faulty_hosts(declared, built.hosts, problems)
    sound = HostSet.of(built.hosts.cluster, [host for host in built.hosts if host.name not in faulty])
    return Configuration(
        written.settings,
        sound,
        written.files,
        texts=tuple(replace(file, path=str(Path(file.path).absolute())) for file in declared.files),
        faults=problems,
        warnings=tuple(sorted(faults.warnings)),
        left_out=macs_of_faulty(declared, sound, faulty, problems),
        hides_hosts=any(not problem.line or problem.where.startswith("hosts.files[") for problem in problems),
        allocations=built.allocations_of(sound),
        tree=written.tree,
    )


def read_declared(path: Path, faults: Faults, *, changes: Changes = NO_CHANGES) -> DeclaredFiles:
    """Read `netboot.yaml` at `path` and the hosts files as they are, or as `changes` would make them."""
    settings, tree = read_settings(path, faults)
    is_sound = not faults
    named = _named_files(path, settings, tree)
    files, read = list_and_read(named, faults, changes=changes)
    declared = declare(read, faults)
    return DeclaredFiles(settings, tuple(named), files, declared, is_sound, tree)


def directory_of_hosts(path: Path) -> Path:
    """Return the first directory of `hosts.files`, in which commands write hosts; it may be missing.

    Raises ConfigError for a fault in `netboot.yaml`, HostFileError if the setting names no directory.
    """
    faults = Faults()
    settings, tree = read_settings(path, faults)
    if faults:
        raise ConfigError(faults.problems)
    found = declaring_directory(path, settings, tree)
    if found is None:
        raise HostFileError(f"{path}: hosts.files names no directory, in which commands write hosts; add hosts.d to it")
    return found


def declaring_directory(path: Path, settings: Settings, tree: Node | None) -> Path | None:
    """Return the directory of `directory_of_hosts` for settings that were read before."""
    for named in _named_files(path, settings, tree):
        is_directory = os.path.isdir(named.path)  # noqa: PTH112 - Path.is_dir raises if it may not be looked at
        if is_directory or named.path.suffix not in SUFFIXES:
            return named.path
    return None


def load_accepted(files: Sequence[HostsFile], recorded: Recorded) -> tuple[HostSet, tuple[Allocation, ...]]:
    """Build the hosts of files that were accepted before, and list the addresses that they have from pools.

    Present faults of the files are kept in the affected hosts.
    """
    faults = Faults()
    declared = declare(files, faults)
    built = build_hosts(declared, faults, recorded)
    faulty = faulty_hosts(declared, built.hosts, faults.problems)
    held_back = [
        replace(host, faults=(*host.faults, str(faulty[host.name]))) if host.name in faulty else host
        for host in built.hosts
    ]
    return HostSet.of(built.hosts.cluster, held_back), built.allocations_of(built.hosts)


def explain(written: WrittenFiles, name: HostName, recorded: Recorded) -> ExplainedHost:
    """Explain the values of a host as its files have them now; UnknownHostError for a host that no file declares."""
    faults = Faults([*written.problems])
    built = build_hosts(written.declared, faults, recorded)
    problems = faulty_hosts(written.declared, built.hosts, sorted(faults.problems))
    if name not in built.merged:
        raise UnknownHostError(f"no host is called {name}; {did_you_mean(name, built.merged)}")
    given = {key: allocation for (host, key), allocation in built.given.items() if host == name and allocation}
    values = explained_values(built.merged[name], given)
    return ExplainedHost(values, [problem for host, problem in problems.items() if host == name])


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Run no garbage collection: its full runs take a third of the time of 5,000 hosts."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def load_settings(path: Path) -> Settings:
    """Read only `netboot.yaml`; raise ConfigError with every fault of it."""
    faults = Faults()
    settings, _ = read_settings(path, faults)
    if faults:
        raise ConfigError(faults.problems)
    return settings


def _named_files(path: Path, settings: Settings, tree: Node | None) -> list[NamedFile]:
    """Pair each of `hosts.files` with the place that names it; if the list is faulty, the default files that exist."""
    directory = path.absolute().parent
    shown = [
        path.parent / file.relative_to(directory) if file.is_relative_to(directory) else file
        for file in (directory / named for named in settings.hosts.files)
    ]
    section, named = find(tree, ("hosts",)), find(tree, ("hosts", "files"))
    if isinstance(named, Listing) and len(named.items) == len(shown):
        return [
            NamedFile(file, item.place, f"hosts.files[{index}]")
            for index, (file, item) in enumerate(zip(shown, named.items, strict=True))
        ]
    is_default = tree is not None and named is None and isinstance(section, Table | None)
    return [
        NamedFile(file, may_be_missing=not is_default)
        for file in shown
        if is_default or os.path.exists(file)  # noqa: PTH110 - Path.exists raises PermissionError
    ]
