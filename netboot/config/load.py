"""Reads a whole configuration: `netboot.yaml` and the hosts files that it names, into Settings and a HostSet.

`load` either returns everything or raises every fault of every file at once. It reads files and nothing else:
a reload calls it in a thread and swaps what it returns, or keeps what it has and reports the faults.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netboot.config.faults import Faults
from netboot.config.host_files import NamedFile, list_files, read_declared
from netboot.config.hosts import build_hosts
from netboot.config.nodes import Listing, Node, Table
from netboot.config.settings import Settings
from netboot.config.settings_file import find, read_settings
from netboot.errors import ConfigError
from netboot.model.host import HostSet


@dataclass(frozen=True, slots=True)
class Configuration:
    """What an operator declared, at one moment."""

    settings: Settings
    hosts: HostSet
    files: tuple[Path, ...]  # all that was read, netboot.yaml first


def load(path: Path) -> Configuration:
    """Read the configuration that begins at `path`; raise ConfigError with every fault of every file."""
    faults = Faults()
    with _without_garbage_collection():
        settings, tree = read_settings(path, faults)
        files = list_files(_named_files(path, settings, tree), faults)
        hosts = build_hosts(read_declared(files, faults), faults)
    if faults:
        raise ConfigError(faults.problems)
    return Configuration(settings, hosts, (path, *files))


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Pause the collector: its full runs would walk all that was read so far, a third of the time of 5,000 hosts."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def load_settings(path: Path) -> Settings:
    """Read `netboot.yaml` alone, for what asks nothing of the hosts; raise ConfigError with every fault of it."""
    faults = Faults()
    settings, _ = read_settings(path, faults)
    if faults:
        raise ConfigError(faults.problems)
    return settings


def _named_files(path: Path, settings: Settings, tree: Node | None) -> list[NamedFile]:
    """Pair each of `hosts.files` with the place that names it, and show it as near as `path` was given.

    Where that list is faulty, nothing is known of the hosts, and its default is read only as far as it is there.
    """
    directory = path.absolute().parent
    shown = [
        path.parent / file.relative_to(directory) if file.is_relative_to(directory) else file
        for file in settings.hosts.files
    ]
    section, named = find(tree, ("hosts",)), find(tree, ("hosts", "files"))
    if isinstance(named, Listing) and len(named.items) == len(shown):
        return [
            NamedFile(file, item.place, f"hosts.files[{index}]")
            for index, (file, item) in enumerate(zip(shown, named.items, strict=True))
        ]
    is_default = tree is not None and named is None and isinstance(section, Table | None)
    return [NamedFile(file) for file in shown if is_default or file.exists()]
