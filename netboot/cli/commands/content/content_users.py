"""Finds users of media and releases: daemon or store, and hosts files (in faulty ones every name counts as used)."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from netboot.cli.commands.daemon_or_store import ask_daemon
from netboot.content.library.library import LibraryEntry
from netboot.errors import NetbootError
from netboot.model.host.host import Host, HostSet
from netboot.model.release import EntryKind
from netboot.operate.content_uses import ContentUse, Use
from netboot.registry.load import read
from netboot.settings.settings import Settings

_LONGEST_FILE_BYTES = 16 << 20


_CURES: Final = {
    Use.HOST: "netboot reload, or systemctl reload netboot",
    Use.ARMED: "netboot install cancel {host}",
    Use.INSTALLING: "wait until its install has ended",
    Use.PULLED: "wait until they have ended",
}


@dataclass(frozen=True, slots=True)
class Users:
    """The users of content. `hosts` are those without a fault; `fault` is the first fault of the files."""

    uses: Sequence[ContentUse]
    hosts: HostSet
    fault: str
    files: tuple[Path, ...]
    inspect_media: str | None = None

    def names(self, entry: LibraryEntry) -> list[str]:
        """Name the hosts that refer to a medium or release by this name, in the files or in the daemon."""
        served = (use.host for use in self._uses_of(entry.kind, entry.name) if use.host)
        return sorted({*(host.name for host in self._declared(entry)), *served})

    def reasons(self, entry: LibraryEntry) -> list[str]:
        """List why a medium or release must stay, each with its cure; empty: it is not used."""
        declared = {host.name: host.declared_at for host in self._declared(entry)}
        found = [
            f"{name} refers to it ({place}); give it another in the hosts files" for name, place in declared.items()
        ]
        found += [
            f"{use}; {_CURES[use.use].format(host=use.host)}"
            for use in self._uses_of(entry.kind, entry.name)
            if use.use is not Use.HOST or use.host not in declared
        ]
        if entry.kind is EntryKind.MEDIUM and entry.name == self.inspect_media:
            found.append("hosts.inspect_media names it, so machines are inspected with it; name another, and reload")
        if self.fault:
            found += [
                f"{place} mentions it, and the hosts files have a fault ({self.fault}); correct it first"
                for place in _mentions(entry.name, self.files)
            ]
        return found

    def running(self, kind: EntryKind, name: str) -> list[str]:
        """List the installs and pulls that use this name now."""
        return [str(use) for use in self._uses_of(kind, name) if use.use in (Use.INSTALLING, Use.PULLED)]

    def _declared(self, entry: LibraryEntry) -> list[Host]:
        attribute = "boot_media" if entry.kind is EntryKind.MEDIUM else "release"
        return [host for host in self.hosts if getattr(host, attribute) == entry.name]

    def _uses_of(self, kind: EntryKind, name: str) -> list[ContentUse]:
        return [use for use in self.uses if use.kind == kind.word and use.name == name]


def users(config: Path, settings: Settings) -> Users:
    """Find the users of the content; raise NetbootError if the daemon or the store does not answer."""
    return _with_files(config, asyncio.run(_uses(settings, config)))


def users_for_a_list(config: Path, settings: Settings) -> Users:
    """Find the users of the content as far as possible; print a note for each source that failed."""
    uses: Sequence[ContentUse] = ()
    try:
        uses = asyncio.run(_uses(settings, config, reads_store=False))  # the store takes half a second to load
    except NetbootError as error:
        click.echo(f"note: USED BY may not be complete: {error}", err=True)
    known = _with_files(config, uses)
    if known.fault:
        click.echo(f"note: the hosts files have a fault, so USED BY may not be complete: {known.fault}", err=True)
    return known


def _with_files(config: Path, uses: Sequence[ContentUse]) -> Users:
    configuration = read(config)
    fault = str(configuration.faults[0]) if configuration.faults else ""
    inspect_media = configuration.settings.hosts.inspect_media
    return Users(uses, configuration.hosts, fault, configuration.files[1:], inspect_media)


async def _uses(settings: Settings, config: Path, *, reads_store: bool = True) -> Sequence[ContentUse]:
    listed = await ask_daemon(settings.admin.socket, config, lambda daemon: daemon.content_uses())
    if listed is not None:
        return [ContentUse(each["kind"], each["name"], Use(each["use"]), each["host"] or "") for each in listed]
    if not reads_store or not store_may_exist(settings.store.url):
        return ()
    from netboot.app.store_access import offline_content_uses  # slow to load

    return await offline_content_uses(settings)


def store_may_exist(store_url: str) -> bool:
    """Return whether there may be a store: only the daemon makes one."""
    scheme, _, path = store_url.partition(":///")
    return not scheme.startswith("sqlite") or Path(path).exists()


def _mentions(name: str, files: Iterable[Path]) -> list[str]:
    """Find a name in the text of files, or of the files in directories, as `file:line`: the first of each."""
    found = []
    for path in dict.fromkeys(files):
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            with suppress(OSError), file.open("rb") as opened:
                lines = opened.read(_LONGEST_FILE_BYTES).decode("utf-8", "replace").splitlines()
                found += [f"{file}:{number}" for number, line in enumerate(lines, 1) if name in line][:1]
    return found
