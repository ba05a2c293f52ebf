"""The boot files: every regular file below `bootfiles.directories`, by the name that a machine asks for.

Scanned once per configuration, off the loop; a name is then found from memory. Must never serve what the scan did not
see: no hidden file, no link out of the directories (Debian's ipxe.efi is a link to /boot). facts/wire.md §8.
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from netboot.errors import ContentError
from netboot.model.client import CPU_OF_ARCH, Arch, BootProtocol, Cpu
from netboot.model.offer import LOADER_NAMES

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE: Final = re.compile(r"[A-Za-z]:")

# Machine types of a PE image, as the PE/COFF specification numbers them.
_CPU_OF_PE_MACHINE: Final = {
    0x014C: Cpu.IA32,
    0x8664: Cpu.X64,
    0x01C0: Cpu.ARM32,
    0x01C2: Cpu.ARM32,
    0x01C4: Cpu.ARM32,
    0xAA64: Cpu.ARM64,
    0x5064: Cpu.RISCV64,
    0x6264: Cpu.LOONGARCH64,
}

# What to install where no loader is there; Debian builds none of iPXE for arm64.
_CURES: Final = {
    Cpu.X86_BIOS: "install ipxe (Debian) or ipxe-bootimgs-x86 (Oracle Linux)",
    Cpu.X64: "install ipxe (Debian) or ipxe-bootimgs-x86 (Oracle Linux)",
    Cpu.ARM64: "install ipxe-bootimgs-aarch64 (Oracle Linux), or put one there as snponly-arm64.efi",
}


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
    """What the directories held when this was built; a reload builds another. Building blocks: not on the loop."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self.directories = tuple(directories)
        self._by_name: dict[str, BootFile] = {}
        for file in _served_files(self.directories):
            self._by_name.setdefault(file.name, file)  # the first directory that has it
        self._by_folded_name: dict[str, list[BootFile]] = {}
        for file in self._by_name.values():
            self._by_folded_name.setdefault(file.name.casefold(), []).append(file)
        self._loaders = {key: names for key in LOADER_NAMES if (names := self._loader_names(*key))}

    def __iter__(self) -> Iterator[BootFile]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

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

    def loader(self, protocol: BootProtocol, arch: Arch) -> str:
        """Name the loader for one architecture; raise ContentError that says what is missing and what to install."""
        cpu = CPU_OF_ARCH[arch]
        if (found_names := self._loaders.get((protocol, cpu))) is not None:
            return found_names[0]
        names = LOADER_NAMES.get((protocol, cpu), ())
        what = f"no loader for {cpu} (option 93 = {arch.value})"
        where = ", ".join(str(directory) for directory in self.directories) or "no directory"
        if not names:
            raise ContentError(f"{what}: netboot names none for it; its machines boot from a server of their own")
        strangers = [
            f"{file.path} is for {loader_cpu(file.path) or 'no known CPU'}"
            for name in names
            if (file := self._by_name.get(name)) is not None
        ]
        found = "; ".join(strangers) if strangers else f"none of {where} has {' or '.join(names)}"
        cure = _CURES.get(cpu, f"put one there as {names[0]}")
        raise ContentError(f"{what}: {found}; {cure}")

    def _loader_names(self, protocol: BootProtocol, cpu: Cpu) -> tuple[str, ...]:
        told = None if cpu is Cpu.X86_BIOS else cpu  # a BIOS loader has no header to tell by
        return tuple(
            name
            for name in LOADER_NAMES[protocol, cpu]
            if (file := self._by_name.get(name)) is not None and loader_cpu(file.path) is told
        )


def loader_cpu(path: Path) -> Cpu | None:
    """Read for which CPU a PE image is built; None for anything else."""
    try:
        with path.open("rb") as file:
            header = file.read(4096)
    except OSError:
        return None
    if header[:2] != b"MZ":
        return None
    at = int.from_bytes(header[0x3C:0x40], "little")
    if header[at : at + 4] != b"PE\0\0":
        return None
    return _CPU_OF_PE_MACHINE.get(int.from_bytes(header[at + 4 : at + 6], "little"))


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
