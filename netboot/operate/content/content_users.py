"""Finds why media and releases must stay: who uses them, and hosts files (in faulty ones every name counts as used)."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.content.library.library import LibraryEntry
from netboot.model.host.host import Host, HostSet
from netboot.model.release import EntryKind
from netboot.operate.content_uses import ContentUse, Use

_LONGEST_FILE_BYTES: Final = 16 << 20
_CURES: Final = {
    Use.HOST: "netboot reload, or systemctl reload netboot",
    Use.ARMED: "netboot install cancel {host}",
    Use.INSTALLING: "wait until its install has ended",
    Use.PULLED: "wait until they have ended",
}


@dataclass(frozen=True, slots=True)
class ContentUsers:
    """The users of content. `hosts` are those without a fault; `fault` is the first fault of the files."""

    uses: Sequence[ContentUse]
    hosts: HostSet
    fault: str = ""
    files: tuple[Path, ...] = ()
    inspect_media: str | None = None

    def names(self, entry: LibraryEntry) -> list[str]:
        """Name the hosts that refer to a medium or release by this name, in the files or in the daemon."""
        served = (use.host for use in self._uses_of(entry.kind, entry.name) if use.host)
        return sorted({*(host.name for host in self._declared(entry)), *served})

    def reasons(self, entry: LibraryEntry) -> list[str]:
        """List why a medium or release must stay, each with its cure; empty: it is not used. May read the files."""
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


def _mentions(name: str, files: Iterable[Path]) -> list[str]:
    """Find a name in the text of files, or of the files in directories, as `file:line`: the first of each."""
    found = []
    for path in dict.fromkeys(files):
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            with suppress(OSError), file.open("rb") as opened:
                lines = opened.read(_LONGEST_FILE_BYTES).decode("utf-8", "replace").splitlines()
                found += [f"{file}:{number}" for number, line in enumerate(lines, 1) if name in line][:1]
    return found
