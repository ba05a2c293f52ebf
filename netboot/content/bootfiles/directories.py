"""The boot files: every regular file below `bootfiles.directories`, by the name that a machine asks for.

Scanned, and a name is then found from memory. A scan never changes; `is_outdated` and `is_changed` say when another is
due. Must never serve what the scan did not see: no hidden file, no link out of the directories (Debian's ipxe.efi is a
link to /boot). facts/wire.md §8.
"""

import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from netboot.content.pe_image import pe_cpu
from netboot.errors import ContentError
from netboot.model.boot.boot_client import CPU_OF_ARCH, BootProtocol, Cpu
from netboot.model.boot.loader_names import loader_names, recommended_names

_MOST_FOLDERS: Final = 256
_CLOCK_TICK_NS: Final = 20_000_000  # two changes of a directory in one tick of the kernel have one time

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE: Final = re.compile(r"[A-Za-z]:")

# The packages that bring a loader. Debian 12 and Ubuntu build iPXE for x86 BIOS and x86-64 UEFI alone.
_PACKAGES: Final = {
    Cpu.X86_BIOS: "install ipxe (Debian) or ipxe-bootimgs-x86 (Oracle Linux)",
    Cpu.X64: "install ipxe (Debian) or ipxe-bootimgs-x86 (Oracle Linux)",
    Cpu.IA32: "install ipxe-bootimgs-x86 (Oracle Linux; Debian has none), or put one there as {name}",
    Cpu.ARM64: "install ipxe-bootimgs-aarch64 (Oracle Linux; Debian 12 has none), or put one there as {name}",
}
_MAP_IT: Final = "choose another network boot in its firmware, or give it a loader: bootfiles.loaders:"
_PUT_ONE_THERE: Final = "put one there as {name}, or name one with bootfiles.loaders"


@dataclass(frozen=True, slots=True)
class BootFile:
    """One served file. `path` has no link in it; `name` is relative to the directory that it was found in."""

    path: Path
    size_bytes: int
    name: str
    cpu: Cpu | None = field(default=None, compare=False)  # None for what is no PE image, a BIOS loader among it


def boot_file_name(asked: str) -> str:
    """Bring a name into one spelling: `\\` is `/`, no leading slash, no empty part and no `.`; `%` is a letter.

    Raises ContentError for what points out of the directories: `..`, a drive letter, a control byte.
    """
    if _CONTROL.search(asked):
        raise ContentError("cannot serve a name with control bytes; ask for a plain name")
    parts = [part for part in asked.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ContentError("cannot serve a name with '..'; ask for a name below the boot files' directories")
    if parts and _DRIVE.match(parts[0]):
        raise ContentError("cannot serve a name with a drive letter; ask for a name below the boot files' directories")
    return "/".join(parts)


class BootFiles:
    """What the directories held when this was built. Building it reads the disk: milliseconds."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self.directories = tuple(directories)
        self._scanned_at_ns = time.time_ns()  # before the scan: what changes meanwhile is a change after it
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

    def __len__(self) -> int:
        return len(self._by_name)

    def is_outdated(self) -> bool:
        """Tell whether a name came or went since this was built: one stat a directory, some microseconds.

        Of very many directories it is not asked: that would hold up every request.
        """
        if len(self._folders) > _MOST_FOLDERS:
            return False
        return any(
            _stamp(path) != stamp or (stamp and stamp[2] > self._scanned_at_ns - _CLOCK_TICK_NS)
            for path, stamp in self._folders.items()
        )

    def is_changed(self) -> bool:
        """Tell whether anything differs on disk, a file that was written over too. Blocks: call it off the loop."""
        return _stamps(self.directories) != self._stamps

    def find(self, name: str) -> BootFile | None:
        """Find a file by any spelling of its name: this case first, then another case if only one file has it."""
        try:
            name = boot_file_name(name)
        except ContentError:
            return None
        if (file := self._by_name.get(name)) is not None:
            return file
        alike = self._by_folded_name.get(name.casefold(), ())
        return alike[0] if len(alike) == 1 else None

    def loaders(self) -> dict[tuple[BootProtocol, Cpu], str]:
        """Name the loader for each protocol and CPU that has one built for it: `Policy.loaders`."""
        return {key: names[0] for key, names in self._loaders.items()}

    def other_loaders(self) -> dict[tuple[BootProtocol, Cpu], tuple[str, ...]]:
        """Name those that come after it in the order of preference: `Policy.others`."""
        return {key: names[1:] for key, names in self._loaders.items()}

    def loader(self, protocol: BootProtocol, arch: int) -> str:
        """Name the loader for one architecture; raise ContentError that says what is missing and what to install."""
        missing = self.missing_loader(protocol, arch)
        if missing is not None:
            raise ContentError("; ".join(missing))
        return self._loaders[protocol, CPU_OF_ARCH[arch]][0]

    def missing_loader(self, protocol: BootProtocol, arch: int) -> tuple[str, str] | None:
        """Say why an architecture has no loader, and which package brings one; None: it has one."""
        cpu = CPU_OF_ARCH.get(arch)
        if cpu is None:
            return f"no loader for architecture {arch} (option 93)", f"{_MAP_IT} {{arch: {arch}, loader: FILE}}"
        if (protocol, cpu) in self._loaders:
            return None
        what = f"no loader for {cpu} (option 93 = {arch:d})"
        if (protocol, cpu) == (BootProtocol.HTTP, Cpu.X86_BIOS):
            return what, f"{_MAP_IT} {{arch: {arch:d}, loader: FILE}}"
        strangers = [
            f"{file.path} is for {file.cpu or loader_cpu(file.path) or 'no known CPU'}"
            for name in loader_names(cpu)
            if cpu is Cpu.X64 or name not in loader_names(Cpu.X64)  # a plain snponly.efi is the x86-64 build
            if (file := self._by_name.get(name)) is not None
        ]
        recommended = recommended_names(cpu)
        where = ", ".join(str(directory) for directory in self.directories) or "no directory"
        found = "; ".join(strangers) if strangers else f"none of {where} has {' or '.join(recommended)}"
        return f"{what}: {found}", _PACKAGES.get(cpu, _PUT_ONE_THERE).format(name=recommended[0])

    def _loader_names(self, cpu: Cpu) -> tuple[str, ...]:
        """List the loaders for a CPU in the order of preference, each file once."""
        wanted = None if cpu is Cpu.X86_BIOS else cpu  # a BIOS loader has no header to tell by
        found: dict[Path, str] = {}
        for name in loader_names(cpu):
            file = self._by_name.get(name)
            if file is not None and loader_cpu(file.path) is wanted:
                found.setdefault(file.path, name)
        return tuple(found.values())


def loader_cpu(path: Path) -> Cpu | None:
    """Read for which CPU a PE image is built; None for anything else."""
    try:
        with path.open("rb") as file:
            header = file.read(4096)
    except OSError:
        return None
    return pe_cpu(header)


_Stamp = tuple[int, ...]  # mode, size, modification time in ns, inode; empty: not there


def _stamps(directories: Sequence[Path]) -> dict[str, _Stamp]:
    """Say what lies below the directories and when it changed last; links by what they lead to."""
    stamps: dict[str, _Stamp] = {}
    for directory in directories:
        stamps[str(directory)] = _stamp(str(directory))
        for folder, subfolders, names in os.walk(directory):
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
    roots = [directory.resolve() for directory in directories]
    for root in roots:
        for folder, subfolders, names in os.walk(root):
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
    """Follow a link to its end; return the end and its size if it is a visible regular file below one of the roots."""
    try:
        path = listed.resolve(strict=True)
        status = path.stat()
    except (OSError, RuntimeError):  # it went away, dangles, or turns in a circle
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    below = any(
        path.is_relative_to(root) and not any(part.startswith(".") for part in path.relative_to(root).parts)
        for root in roots
    )
    return (path, status.st_size) if below else None
