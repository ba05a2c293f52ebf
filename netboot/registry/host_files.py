"""Finds, reads and merges the hosts files; no key may be set in two files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.errors import raise_without_descriptor
from netboot.registry.host_sections import HostsDocument
from netboot.yamlfile.faults import Faults, Place, did_you_mean
from netboot.yamlfile.files import read_bytes, read_text
from netboot.yamlfile.nodes import Scalar, Table, TableEntry, find
from netboot.yamlfile.positions import parse
from netboot.yamlfile.sections import TABLE_EXPECTED

SECTIONS: Final = tuple(HostsDocument.model_fields)
SUFFIXES: Final = frozenset({".yaml", ".yml"})

Changes = Mapping[Path, str | None]  # the text that a file will have; None: it will be deleted
NO_CHANGES: Final[Changes] = {}
MOST_LISTINGS: Final = 3


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file or directory of `hosts.files`, and the place that names it: None for the default."""

    path: Path
    named_at: Place | None = None
    where: str = ""  # hosts.files[0]
    may_be_missing: bool = False  # if `hosts.files` is not known


@dataclass(frozen=True, slots=True)
class HostsFile:
    """One hosts file as it was read; `text` is None if it cannot be decoded, `raw` has its readable part."""

    path: str
    text: str | None
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """The merged content of all files; every entry has its file and line."""

    tree: Table
    files: tuple[HostsFile, ...]

    @property
    def has_pools(self) -> bool:
        return bool(self.table("address_pools").entries)

    def table(self, *path: str) -> Table:
        """Return a section, or a table in one; an empty one if no file has it."""
        found = find(self.tree, path)
        return found if isinstance(found, Table) else Table(self.tree.place)


def list_and_read(
    named: Sequence[NamedFile], faults: Faults, *, changes: Changes = NO_CHANGES
) -> tuple[tuple[Path, ...], list[HostsFile]]:
    """List the files and read them.

    An operator may remove or rename a file between the two: while the list is no longer true, it is made again.
    """
    listings = 0
    while True:
        listings += 1
        found = Faults()
        files = list_files(named, found, changes=changes)
        read = read_files(files, found, changes=changes)
        is_whole = all(file.text is not None for file in read)
        if is_whole or listings == MOST_LISTINGS or list_files(named, Faults(), changes=changes) == files:
            faults.problems += found.problems
            faults.warnings += found.warnings
            return files, read


def list_files(named: Sequence[NamedFile], faults: Faults, *, changes: Changes = NO_CHANGES) -> tuple[Path, ...]:
    """Return the files to read: those named, and those of the directories named, sorted, without hidden ones.

    The files that `changes` adds come last.

    A directory may be missing. A file that an operator named must exist; of the default ones, at least one must.
    """
    found: dict[Path, Path] = {}
    for entry in named:
        for path in _files_at(entry, faults):
            found.setdefault(path.absolute(), path)
    for path, text in changes.items():
        if text is None:
            found.pop(path.absolute(), None)
        else:
            found.setdefault(path.absolute(), path)
    if not found and named and all(entry.named_at is None and not entry.may_be_missing for entry in named):
        missing = str(named[0].path)
        faults.add(Place(missing), "", what="is not there", cure="write it; docs/settings.md has the smallest one")
    return tuple(found.values())


def read_files(files: Sequence[Path], faults: Faults, *, changes: Changes = NO_CHANGES) -> list[HostsFile]:
    """Read the text of every file, or take it from `changes`; one that cannot be read has a fault and no text."""
    read = []
    for path in files:
        place = Place(str(path))
        if path in changes:
            read.append(HostsFile(place.file, changes[path]))
            continue
        text = read_text(path, faults, place=place)
        raw = read_bytes(path, Faults(), place=place) if text is None else None
        read.append(HostsFile(place.file, text, (raw or b"").decode("latin-1")))
    return read


def declare(files: Sequence[HostsFile], faults: Faults) -> Declared:
    """Merge the texts of all files, with a fault for each key that is set twice."""
    merged = Table(Place(files[0].path if files else ""))
    read = []
    for file in files:
        tree = None if file.text is None else parse(file.text, file.path, faults)
        read.append(file if tree is not None else HostsFile(file.path, None, file.text or file.raw))
        match tree:
            case None | Scalar(is_null=True):
                continue
            case Table():
                for name, entry in tree.entries.items():
                    if name in SECTIONS:
                        _merge(merged, entry, name, faults, levels=2 if name == "roles" else 1)
                    else:
                        faults.add(entry.key.place, name, what="no such section", cure=did_you_mean(name, SECTIONS))
            case _:
                cure = f"write sections: {', '.join(SECTIONS)}"
                faults.add(tree.place, "", what="is not a table of hosts", cure=cure)
    return Declared(merged, tuple(read))


def _files_at(named: NamedFile, faults: Faults) -> Iterator[Path]:
    path, where, place = named.path, named.where, named.named_at or Place(str(named.path))
    try:
        if path.is_dir():
            for file in sorted(path.iterdir()):
                if file.suffix in SUFFIXES and not file.name.startswith("."):
                    yield file
        elif path.exists() or path.is_symlink():
            yield path
        elif named.named_at and path.suffix in SUFFIXES:
            cure = "write the file, or correct the name"
            if any(sign in path.name for sign in "*?["):
                cure = "name its directory: each .yaml file in it is read"
            faults.add(place, where, what=f"{path} is not there", cure=cure)
    except (OSError, ValueError) as error:
        raise_without_descriptor(error)
        reason = error.strerror if isinstance(error, OSError) else str(error)
        cure = "let the user that runs netboot read it"
        faults.add(place, where, what=f"{path} cannot be read ({reason})", cure=cure)


def _merge(holder: Table, entry: TableEntry, where: str, faults: Faults, *, levels: int) -> None:
    """Add an entry; on the outer `levels` several files may fill one table, within them no key is there twice."""
    first = holder.entries.setdefault(
        entry.key.text, TableEntry(entry.key, Table(entry.key.place)) if levels else entry
    )
    match first.value, entry.value:
        case _ if not levels:
            if first is not entry:
                what = f"is there already ({first.key.place})"
                faults.add(entry.key.place, where, what=what, cure="keep one of the two")
        case Table() as table, Table(entries=more):
            for name, inner in more.items():
                _merge(table, inner, f"{where}.{name}", faults, levels=levels - 1)
        case _, Scalar(is_null=True):
            pass
        case _, other:
            faults.add(other.place, where, what=TABLE_EXPECTED[0], cure=TABLE_EXPECTED[1])
