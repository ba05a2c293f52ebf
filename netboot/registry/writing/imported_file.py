"""Writes imported hosts to a new file. If the configuration reads it, it is verified first, as any change of hosts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from netboot.errors import HostFileError
from netboot.registry.allocation import Recorded
from netboot.registry.host_files import SUFFIXES, Declared, NamedFile
from netboot.registry.importers.imported import Imported
from netboot.registry.importers.imported_text import imported_text
from netboot.registry.writing.hosts_directory import locked_directory
from netboot.registry.writing.new_faults import read_sound, refuse_new_faults
from netboot.yamlfile.faults import Faults, beside
from netboot.yamlfile.nodes import Scalar, find


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A file that was written; `is_read`: it is one of `hosts.files`."""

    path: Path
    imported: Imported
    is_read: bool


def write_imported(
    config: Path, path: Path, imported: Imported, *, sources: Sequence[str], recorded: Callable[[], Recorded]
) -> ImportedFile:
    """Write a new hosts file; `recorded` reads the addresses that hosts have from pools.

    Raises ConfigError with the new faults of the configuration, HostFileError if the file is there already, and
    HostsNotWritableError.
    """
    with locked_directory(path.absolute().parent) as directory:
        if path.exists() or path.is_symlink():
            raise HostFileError(f"cannot write {path}: it is there already; name a new file, or remove it")
        faults = Faults()
        found = read_sound(config, faults) if config.exists() else None
        if found is None or not any(_reads(named, path) for named in found.named):
            directory.apply({path.name: imported_text(imported, sources)})
            return ImportedFile(path, imported, is_read=False)
        new = _without_declared(imported, found.declared)
        text = imported_text(new, sources)
        refuse_new_faults(config, {path: text}, before=found, faults_before=faults, recorded=recorded)
        directory.apply({path.name: text})
        return ImportedFile(path, new, is_read=True)


def _reads(named: NamedFile, path: Path) -> bool:
    """Return whether an entry of `hosts.files` names a file, or the directory in which it is read."""
    if path.absolute() == named.path.absolute():
        return True
    is_hosts_file = path.suffix in SUFFIXES and not path.name.startswith(".")
    return is_hosts_file and path.absolute().parent.resolve() == named.path.resolve()


def _without_declared(imported: Imported, declared: Declared) -> Imported:
    """Leave out the values of `cluster` that another file has: no key may be set in two."""
    cluster = declared.table("cluster")
    name, byo = find(cluster, ("name",)), find(cluster, ("byo",))
    imported_name = next(iter(imported.clusters), None)
    notes = list(imported.notes)
    if isinstance(name, Scalar) and imported_name is not None and name.text == imported_name.text:
        notes.append(f"cluster.name is declared already: {name.place}")
        imported = replace(imported, clusters=())
    declared_byo = beside(Path(byo.text), byo.place.file) if isinstance(byo, Scalar) else None
    if declared_byo is not None and imported.byo is not None and declared_byo == Path(imported.byo.text):
        notes.append(f"cluster.byo is declared already: {declared_byo}")
        imported = replace(imported, byo=None)
    return replace(imported, notes=notes)
