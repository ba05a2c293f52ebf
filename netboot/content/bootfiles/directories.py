"""The boot files: every regular file below `bootfiles.directories`, by the name that a client requests.

The directories are scanned once; names are then found in memory. A scan never changes; `is_outdated` and `is_changed`
return whether another scan is due. Hidden files and links out of the directories (Debian's ipxe.efi is a link to /boot)
are never served.
"""

import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from netboot.content.bootfiles.loader_packages import how_to_install
from netboot.content.pe_image import pe_cpu
from netboot.errors import ContentError, raise_without_descriptor
from netboot.model.boot.boot_client import CPU_OF_ARCH, BootProtocol, Cpu
from netboot.model.boot.loader_names import LOADER_NAMES, recommended_names

_MOST_FOLDERS: Final = 256
_CLOCK_TICK_NS: Final = 20_000_000  # two changes of a directory within one tick of the kernel get the same time

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE: Final = re.compile(r"[A-Za-z]:")

_MAP_LOADER: Final = "choose another network boot in its firmware, or give it a loader: bootfiles.loaders:"


@dataclass(frozen=True, slots=True)
class BootFile:
    """One served file. `path` contains no link; `name` is relative to the directory that contains it."""

    path: Path
    size_bytes: int
    name: str
    cpu: Cpu | None = field(default=None, compare=False)  # None: not a PE image, for example a BIOS loader


def boot_file_name(requested: str) -> str:
    """Normalise a name: `\\` becomes `/`; leading slashes, empty parts and `.` are removed; `%` is a plain character.

    Raises ContentError for `..`, a drive letter or a control byte.
    """
    if _CONTROL.search(requested):
        raise ContentError("cannot serve a name with control bytes; request a name without them")
    parts = [part for part in requested.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ContentError("cannot serve a name with '..'; request a name below the boot files' directories")
    if parts and _DRIVE.match(parts[0]):
        raise ContentError("cannot serve a name with a drive letter; request a name below the boot files' directories")
    return "/".join(parts)


class BootFiles:
    """The files of the directories when this was built. Building it reads the disk and takes milliseconds."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self.directories = tuple(directories)
        self._scanned_at_ns = time.time_ns()  # before the scan: a change during the scan counts as later
        self._stamps = _stamps(self.directories)
        self._folders = {path: stamp for path, stamp in self._stamps.items() if not stamp or stat.S_ISDIR(stamp[0])}
        self._by_name: dict[str, BootFile] = {}
        for file in _served_files(self.directories):
            self._by_name.setdefault(file.name, file)  # the first directory that has it
        self._by_folded_name: dict[str, list[BootFile]] = {}
        for file in self._by_name.values():
            self._by_folded_name.setdefault(file.name.casefold(), []).append(file)
        names_of_cpu = {cpu: self._loader_names(cpu) for cpu in Cpu}
        self._loaders = {
            (protocol, cpu): names
            for protocol in BootProtocol
            for cpu, names in names_of_cpu.items()
            if names and (protocol, cpu) != (BootProtocol.HTTP, Cpu.X86_BIOS)
        }

    def __iter__(self) -> Iterator[BootFile]:
        return iter(self._by_name.values())

    def is_outdated(self) -> bool:
        """Return whether a name was added or removed since this was built: one stat per directory, some microseconds.

        Always False for more than 256 directories: the check would delay every request.
        """
        if len(self._folders) > _MOST_FOLDERS:
            return False
        return any(
            _stamp(path) != stamp or (stamp and stamp[2] > self._scanned_at_ns - _CLOCK_TICK_NS)
            for path, stamp in self._folders.items()
        )

    def is_changed(self) -> bool:
        """Return whether anything on disk differs, including an overwritten file. Blocks: call it off the loop."""
        return _stamps(self.directories) != self._stamps

    def find(self, name: str) -> BootFile | None:
        """Find a file by any spelling of its name: exact case first, then ignoring case if only one file matches."""
        try:
            name = boot_file_name(name)
        except ContentError:
            return None
        if (file := self._by_name.get(name)) is not None:
            return file
        matches = self._by_folded_name.get(name.casefold(), ())
        return matches[0] if len(matches) == 1 else None

    def loaders(self) -> dict[tuple[BootProtocol, Cpu], str]:
        """Return the loader of each protocol and CPU: `Policy.loaders`."""
        return {key: names[0] for key, names in self._loaders.items()}

    def other_loaders(self) -> dict[tuple[BootProtocol, Cpu], tuple[str, ...]]:
        """Return the other loaders of each protocol and CPU, in order of preference: `Policy.others`."""
        return {key: names[1:] for key, names in self._loaders.items()}

    def loader(self, protocol: BootProtocol, arch: int) -> str:
        """Return the loader of one architecture; raise ContentError with what is missing and the package to install."""
        missing = self.missing_loader(protocol, arch)
        if missing is not None:
            raise ContentError("; ".join(missing))
        return self._loaders[protocol, CPU_OF_ARCH[arch]][0]

    def missing_loader(self, protocol: BootProtocol, arch: int) -> tuple[str, str] | None:
        """Return why an architecture has no loader and the package that contains one; None if it has a loader."""
        cpu = CPU_OF_ARCH.get(arch)
        if cpu is None:
            return f"no loader for architecture {arch} (option 93)", f"{_MAP_LOADER} {{arch: {arch}, loader: FILE}}"
        if (protocol, cpu) in self._loaders:
            return None
        reason = f"no loader for {cpu} (option 93 = {arch:d})"
        if (protocol, cpu) == (BootProtocol.HTTP, Cpu.X86_BIOS):
            return reason, f"{_MAP_LOADER} {{arch: {arch:d}, loader: FILE}}"
        unusable = [
            f"{file.path} is for {file.cpu or loader_cpu(file.path) or 'no known CPU'}"
            for name in LOADER_NAMES[cpu]
            if cpu is Cpu.X64 or name not in LOADER_NAMES[Cpu.X64]  # a plain snponly.efi is the x86-64 build
            if (file := self._by_name.get(name)) is not None
        ]
        recommended = recommended_names(cpu)
        where = ", ".join(str(directory) for directory in self.directories) or "no directory"
        found = "; ".join(unusable) if unusable else f"none of {where} has {' or '.join(recommended)}"
        return f"{reason}: {found}", how_to_install(cpu, recommended[0])

    def _loader_names(self, cpu: Cpu) -> tuple[str, ...]:
        """Return the loaders of a CPU in order of preference, each file once."""
        wanted = None if cpu is Cpu.X86_BIOS else cpu  # a BIOS loader has no PE header
        found: dict[Path, str] = {}
        for name in LOADER_NAMES[cpu]:
            file = self._by_name.get(name)
            if file is not None and loader_cpu(file.path) is wanted:
                found.setdefault(file.path, name)
        return tuple(found.values())


def loader_cpu(path: Path) -> Cpu | None:
    """Read for which CPU a PE image is built; None for anything else."""
    try:
        with path.open("rb") as file:
            header = file.read(4096)
    except OSError as error:
        raise_without_descriptor(error)
        return None
    return pe_cpu(header)


_Stamp = tuple[int, ...]  # mode, size, modification time in ns, inode; empty: missing


def _stamps(directories: Sequence[Path]) -> dict[str, _Stamp]:
    """Return the stamp of each entry below the directories; of a link, that of its target."""
    stamps: dict[str, _Stamp] = {}
    for directory in directories:
        stamps[str(directory)] = _stamp(str(directory))
        for folder, subfolders, names in os.walk(directory, onerror=raise_without_descriptor):
            for name in (*subfolders, *names):
                path = f"{folder}/{name}"
                stamps[path] = _stamp(path)
    return stamps


def _stamp(path: str) -> _Stamp:
    try:
        status = os.stat(path)  # noqa: PTH116 - for each DISCOVER without a loader
    except OSError:
        return ()
    return (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino)


def _served_files(directories: Sequence[Path]) -> Iterator[BootFile]:
    roots = [Path(os.path.realpath(directory)) for directory in directories]  # resolve() raises for a link loop
    for root in roots:
        for folder, subfolders, names in os.walk(root, onerror=raise_without_descriptor):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            for name in sorted(names):
                if name.startswith("."):
                    continue
                listed = Path(folder, name)
                file = _regular_file(listed, roots)
                if file is not None:
                    cpu = loader_cpu(file[0]) if ".efi" in name.lower() else None
                    yield BootFile(*file, listed.relative_to(root).as_posix(), cpu)


def _regular_file(listed: Path, roots: Sequence[Path]) -> tuple[Path, int] | None:
    """Resolve a link; return the target and its size if it is a visible regular file below one of the roots."""
    try:
        path = listed.resolve(strict=True)
        status = path.stat()
    except (OSError, RuntimeError):  # removed, a dangling link or a link loop
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    below = any(
        path.is_relative_to(root) and not any(part.startswith(".") for part in path.relative_to(root).parts)
        for root in roots
    )
    return (path, status.st_size) if below else None
