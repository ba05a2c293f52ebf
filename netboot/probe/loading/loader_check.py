"""Whether a firmware runs the file that it loaded: its CPU, and with Secure Boot that it is signed at all.

Who signed it is judged by `netboot doctor`.
"""

from typing import Final

from netboot.content.pe_image import is_signed, pe_cpu
from netboot.model.boot.boot_client import CPU_OF_ARCH, Cpu, arch_name
from netboot.model.install.event import Step
from netboot.model.words import printable_line
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.firmwares.firmware_profile import FirmwareProfile, LoaderProgram
from netboot.probe.loaded_file import LoadedFile

_WITH_SECURE_BOOT: Final = frozenset({LoaderProgram.SHIM_GRUB, LoaderProgram.GRUB_HTTP})
_SIGNED_LOADERS: Final = (
    "serve shim and GRUB of one distribution, which are signed, and offer shim: hosts.HOST.loader: shimx64.efi, "
    "or bootfiles.loaders for every machine of this architecture"
)
_BIOS_MEMORY_BYTES: Final = 0x80000  # of which the ROM needs a part: PXE-E79


def has_secure_boot(profile: FirmwareProfile) -> bool:
    """Return whether the firmware runs signed files only."""
    return profile.loader_program in _WITH_SECURE_BOOT


def check_loader(profile: FirmwareProfile, file: LoadedFile, *, program: str) -> None:
    """Raise BootFailedError if `program`, the firmware or a loader, does not run this file."""
    cpu = CPU_OF_ARCH.get(profile.arch)
    if cpu is Cpu.X86_BIOS:
        _check_bios_program(file, program)
        return
    shown, found = printable_line(file.name), pe_cpu(file.content)
    if found is None:
        raise _not_run(file, f"{program} prints 'Unsupported': {shown} is no EFI program ({_what_it_is(file)})")
    if found is not cpu:
        sentence = (
            f"{program} prints 'Unsupported': {shown} is built for {found}, this machine is {arch_name(profile.arch)}"
        )
        raise _not_run(file, sentence)
    if has_secure_boot(profile) and not is_signed(file.content):
        sentence = (
            f"{program} prints 'Access Denied' (Security Violation): {shown} is not signed, and Secure Boot is on"
        )
        raise _not_run(file, sentence, cure=_SIGNED_LOADERS)


def _check_bios_program(file: LoadedFile, program: str) -> None:
    shown = printable_line(file.name)
    if pe_cpu(file.content) is not None:
        raise _not_run(file, f"{program} hangs or restarts: {shown} is an EFI program, this machine has a BIOS")
    if _what_it_is(file) != "unknown data":
        raise _not_run(file, f"{program} hangs or restarts: {shown} is no boot program ({_what_it_is(file)})")
    if file.size_bytes > _BIOS_MEMORY_BYTES:
        raise _not_run(file, f"{program} prints 'PXE-E79: NBP is too big to fit in free base memory': {shown}")


def _not_run(file: LoadedFile, sentence: str, *, cure: str = "install a loader for this CPU") -> BootFailedError:
    evidence = (f"{file.size_bytes} bytes, beginning with {file.content[:16].hex()}", f"sha256 {file.sha256}")
    return BootFailedError(Step.LOADER, sentence, cure=cure, evidence=evidence)


def _what_it_is(file: LoadedFile) -> str:
    begin = file.content[:256].lstrip().lower()
    if not file.size_bytes:
        return "it is empty"
    if begin.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page"
    return "a script" if begin.startswith(b"#!") else "unknown data"
