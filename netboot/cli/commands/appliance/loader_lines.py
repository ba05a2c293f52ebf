"""The loader of each architecture, as `netboot check` lists it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from netboot.boot.firmware.requested_names import find_loader
from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage, arch_name
from netboot.model.boot.offer import Policy
from netboot.model.host.mac import Mac

_ANY_MAC: Final = Mac.parse("00:00:5e:00:53:01")  # RFC 7042 §2.1.2: reserved for documentation, of no card
_ARCHITECTURES: Final = (
    ("BIOS, PXE", BootProtocol.PXE, Arch.X86_BIOS),
    ("x64 UEFI, PXE", BootProtocol.PXE, Arch.X64_UEFI),
    ("x64 UEFI, HTTP", BootProtocol.HTTP, Arch.X64_UEFI_HTTP),
    ("ia32 UEFI, PXE", BootProtocol.PXE, Arch.IA32_UEFI),
    ("ia32 UEFI, HTTP", BootProtocol.HTTP, Arch.IA32_UEFI_HTTP),
    ("arm64 UEFI, PXE", BootProtocol.PXE, Arch.ARM64_UEFI),
    ("arm64 UEFI, HTTP", BootProtocol.HTTP, Arch.ARM64_UEFI_HTTP),
)


@dataclass(frozen=True, slots=True)
class LoaderLine:
    """The loader of one architecture: `path` is its file, `then` are the names to try if it fails."""

    architecture: str
    loader: str | None = None
    path: str | None = None
    then: tuple[str, ...] = ()
    missing: str | None = None  # why there is none, and the package that has one

    def __str__(self) -> str:
        if self.loader is None:
            return f"  {self.architecture:<17} none: {self.missing}"
        then = f", then {', '.join(self.then)}" if self.then else ""
        return f"  {self.architecture:<17} {self.loader} ({self.path}){then}"


def loader_lines(policy: Policy, bootfiles: BootFiles) -> list[LoaderLine]:
    """List what each usual architecture gets, then each number that `bootfiles.loaders` names."""
    return [*(_line(policy, bootfiles, *each) for each in _ARCHITECTURES), *_by_number(policy, bootfiles)]


def printed(lines: Iterable[LoaderLine]) -> Iterator[str]:
    """Return one line for each architecture, but only one for a CPU whose loaders are missing for one reason."""
    for missing, same in groupby(lines, key=lambda line: line.missing):
        first, *others = same
        if missing is None:
            yield from map(str, (first, *others))
        else:
            yield str(replace(first, architecture=first.architecture.partition(",")[0]) if others else first)


def _line(policy: Policy, bootfiles: BootFiles, title: str, protocol: BootProtocol, arch: int) -> LoaderLine:
    loaders = policy.loaders_for(BootClient(_ANY_MAC, arch, protocol, Stage.FIRMWARE))
    if not loaders:
        what, cure = bootfiles.missing_loader(protocol, arch) or ("", "")
        return LoaderLine(title, missing=f"{what.partition(': ')[2] or what}; {cure}")
    file = find_loader(bootfiles, loaders[0])
    return LoaderLine(title, loaders[0], str(file.path) if file else None, loaders[1:])


def _by_number(policy: Policy, bootfiles: BootFiles) -> Iterator[LoaderLine]:
    for rule in policy.rules:
        if rule.arch is not None:
            file = find_loader(bootfiles, rule.loader)
            only = f" of {rule.oui or rule.vendor_class}" if rule.oui or rule.vendor_class else ""
            title = f"{arch_name(rule.arch)} ({rule.arch:d}){only}"
            yield LoaderLine(title, rule.loader, str(file.path) if file else None)
