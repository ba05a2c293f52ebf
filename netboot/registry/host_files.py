"""Finds, reads and merges the hosts files; no key may be set in two files.

(`netboot host add` will write its one new file here: into the first directory of `hosts.files`, atomically,
under a dotted name that `list_files` ignores until it is complete.)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from netboot.yamlfile.faults import Faults, Place, did_you_mean
from netboot.yamlfile.files import read_bytes, read_text
from netboot.yamlfile.nodes import Scalar, Table, TableEntry
from netboot.yamlfile.positions import parse

SECTIONS: Final = ("cluster", "defaults", "roles", "hosts")
_SUFFIXES: Final = frozenset({".yaml", ".yml"})


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


@dataclass(slots=True)
class Declared:
    """The merged content of all files; every entry has its file and line."""

    cluster: dict[str, TableEntry] = field(default_factory=dict)
    defaults: dict[str, TableEntry] = field(default_factory=dict)
    roles: dict[str, TableEntry] = field(default_factory=dict)
    hosts: dict[str, TableEntry] = field(default_factory=dict)
    role_keys: dict[str, dict[str, TableEntry]] = field(default_factory=dict)
    files: list[HostsFile] = field(default_factory=list)


def list_files(named: Sequence[NamedFile], faults: Faults) -> tuple[Path, ...]:
    """Return the files to read: those named, and those of the directories named, sorted, without hidden ones.

    A directory may be missing. A file that an operator named must exist; of the default ones, at least one must.
    """
    found: dict[Path, Path] = {}
    for entry in named:
        for path in _files_at(entry, faults):
            found.setdefault(path.absolute(), path)
    if not found and named and all(entry.named_at is None and not entry.may_be_missing for entry in named):
        missing = str(named[0].path)
        faults.add(Place(missing), "", what="is not there", cure="write it; docs/settings.md has the smallest one")
    return tuple(found.values())


def read_files(files: Sequence[Path], faults: Faults) -> list[HostsFile]:
    """Read the text of every file; one that cannot be read has a fault and no text."""
    return [_read(path, faults) for path in files]


def _read(path: Path, faults: Faults) -> HostsFile:
    text = read_text(path, faults, place=Place(str(path)))
    if text is not None:
        return HostsFile(str(path), text)
    raw = read_bytes(path, Faults(), place=Place(str(path)))
    return HostsFile(str(path), None, "" if raw is None else raw.decode("latin-1"))


def declare(files: Sequence[HostsFile], faults: Faults) -> Declared:
    """Merge the texts of all files, with a fault for each key that is set twice."""
    declared = Declared()
    for file in files:
        tree = None if file.text is None else parse(file.text, file.path, faults)
        declared.files.append(file if tree is not None else HostsFile(file.path, None, file.text or file.raw))
        match tree:
            case None:
                continue
            case Table():
                for name, entry in tree.entries.items():
                    _add_section(declared, name, entry, faults)
            case Scalar() if tree.is_null:
                continue
            case _:
                faults.add(
                    tree.place, "", what="is not a table of hosts", cure=f"write sections: {', '.join(SECTIONS)}"
                )
    return declared


def _files_at(named: NamedFile, faults: Faults) -> Iterator[Path]:
    path, where, place = named.path, named.where, named.named_at or Place(str(named.path))
    try:
        if path.is_dir():
            for file in sorted(path.iterdir()):
                if file.suffix in _SUFFIXES and not file.name.startswith("."):
                    yield file
        elif path.exists() or path.is_symlink():
            yield path
        elif named.named_at and path.suffix in _SUFFIXES:
            is_pattern = any(sign in path.name for sign in "*?[")
            cure = (
                "name its directory: each .yaml file in it is read"
                if is_pattern
                else "write the file, or correct the name"
            )
            faults.add(place, where, what=f"{path} is not there", cure=cure)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        faults.add(
            place, where, what=f"{path} cannot be read ({reason})", cure="let the user that runs netboot read it"
        )


def _add_section(declared: Declared, name: str, entry: TableEntry, faults: Faults) -> None:
    match name:
        case "cluster":
            _add(declared.cluster, entry, name, faults)
        case "defaults":
            _add(declared.defaults, entry, name, faults)
        case "hosts":
            _add(declared.hosts, entry, name, faults)
        case "roles":
            _add_roles(declared, entry, faults)
        case _:
            faults.add(entry.key.place, name, what="no such section", cure=did_you_mean(name, SECTIONS))


def _add_roles(declared: Declared, section: TableEntry, faults: Faults) -> None:
    for entry in _entries(section, "roles", faults):
        role = entry.key.text
        declared.roles.setdefault(role, entry)
        _add(declared.role_keys.setdefault(role, {}), entry, f"roles.{role}", faults)


def _add(known: dict[str, TableEntry], section: TableEntry, where: str, faults: Faults) -> None:
    for entry in _entries(section, where, faults):
        name = entry.key.text
        first = known.setdefault(name, entry)
        if first is not entry:
            what = f"is there already ({first.key.place})"
            faults.add(entry.key.place, f"{where}.{name}", what=what, cure="keep one of the two")


def _entries(section: TableEntry, where: str, faults: Faults) -> Iterator[TableEntry]:
    match section.value:
        case Table(entries=entries):
            yield from entries.values()
        case Scalar() as scalar if scalar.is_null:
            return
        case other:
            faults.add(other.place, where, what="must be a table of keys", cure="write `key: value` pairs below it")
