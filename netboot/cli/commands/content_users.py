"""Finds the users of a boot medium or release: from the daemon, else the store, and from the current hosts files.

Works with faulty hosts files: every name in their text counts as used.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netboot.cli.commands.daemon_or_store import daemon_at
from netboot.content.library.library import LibraryEntry
from netboot.errors import NetbootError
from netboot.model.host.host import Host, HostSet
from netboot.model.release import EntryKind
from netboot.registry.load import read
from netboot.settings.settings import Settings

if TYPE_CHECKING:
    from netboot.operate.content_uses import ContentUse

_LONGEST_FILE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Users:
    """The users of content. `hosts` are those without a fault; `fault` is the first fault of the files."""

    uses: "tuple[ContentUse, ...]"
    hosts: HostSet
    fault: str
    files: tuple[Path, ...]

    def names(self, entry: LibraryEntry) -> list[str]:
        """Name the hosts that refer to a medium or release by this name, in the files or in the daemon."""
        declared = (host.name for host in self.hosts if entry.name == _referred(host, entry.kind))
        served = (use.host for use in self._uses_of(entry) if use.host)
        return sorted({*declared, *served})

    def reasons(self, entry: LibraryEntry) -> list[str]:
        """List why a medium or release must stay, each with its cure; empty: it is not used."""
        found = [
            f"{host.name} refers to it ({host.declared_at}); give it another in the hosts files"
            for host in self.hosts
            if entry.name == _referred(host, entry.kind)
        ]
        declared = {host.name for host in self.hosts if entry.name == _referred(host, entry.kind)}
        found += [
            f"{use}; {_CURES[use.use.value].format(host=use.host)}"
            for use in self._uses_of(entry)
            if use.use != "host" or use.host not in declared
        ]
        if self.fault:
            found += [
                f"{place} mentions it, and the hosts files have a fault ({self.fault}); correct it first"
                for place in _mentions(entry.name, self.files)
            ]
        return found

    def running(self, entry_kind: EntryKind, name: str) -> list[str]:
        """List the installs and pulls that use this name now."""
        uses = [use for use in self.uses if use.kind == entry_kind.word and use.name == name]
        return [str(use) for use in uses if use.use in ("installing", "pulled")]

    def _uses_of(self, entry: LibraryEntry) -> "Iterable[ContentUse]":
        return (use for use in self.uses if use.kind == entry.kind.word and use.name == entry.name)


_CURES = {
    "host": "netboot reload, or systemctl reload netboot",
    "armed": "netboot install cancel {host}",
    "installing": "wait until its install has ended",
    "pulled": "wait until they have ended",
}


def users(config: Path, settings: Settings) -> Users:
    """Find the users of the content; raise NetbootError if the daemon or the store does not answer."""
    return _with_files(config, asyncio.run(_uses(settings, config)))


def users_for_a_list(config: Path, settings: Settings) -> tuple[Users, tuple[str, ...]]:
    """Find the users of the content as far as possible, with a note for each source that failed."""
    notes: list[str] = []
    uses: tuple[ContentUse, ...] = ()
    try:
        uses = asyncio.run(_uses(settings, config, reads_store=False))  # the store takes half a second to load
    except NetbootError as error:
        notes.append(f"USED BY may not be complete: {error}")
    known = _with_files(config, uses)
    if known.fault:
        notes.append(f"the hosts files have a fault, so USED BY may not be complete: {known.fault}")
    return known, tuple(notes)


def _with_files(config: Path, uses: "tuple[ContentUse, ...]") -> Users:
    configuration = read(config)
    fault = str(configuration.faults[0]) if configuration.faults else ""
    return Users(uses, configuration.hosts, fault, configuration.files[1:])


async def _uses(settings: Settings, config: Path, *, reads_store: bool = True) -> "tuple[ContentUse, ...]":
    from netboot.operate.content_uses import ContentUse, Use

    client = await daemon_at(settings.admin.socket, config)
    if client is not None:
        async with client:
            listed = await client.content_uses()
        return tuple(ContentUse(each["kind"], each["name"], Use(each["use"]), each["host"] or "") for each in listed)
    if not reads_store or not _is_there(settings.store.url):
        return ()
    from netboot.app.store_access import offline_content_uses  # slow to load

    return tuple(await offline_content_uses(settings))


def _is_there(store_url: str) -> bool:
    """Return whether there may be a store: only the daemon makes one."""
    scheme, _, path = store_url.partition(":///")
    return not scheme.startswith("sqlite") or Path(path).exists()


def _referred(host: Host, kind: EntryKind) -> str | None:
    return host.boot_media if kind is EntryKind.MEDIUM else host.release


def _mentions(name: str, files: Iterable[Path]) -> list[str]:
    """Find a name in the text of files, or of the files in directories, as `file:line`: the first of each."""
    found = []
    for file in (
        each for path in dict.fromkeys(files) for each in (sorted(path.iterdir()) if path.is_dir() else [path])
    ):
        try:
            with file.open("rb") as opened:
                lines = opened.read(_LONGEST_FILE_BYTES).decode("utf-8", "replace").splitlines()
        except OSError:
            continue
        found += [f"{file}:{number}" for number, line in enumerate(lines, 1) if name in line][:1]
    return found
