"""The names of a machine's second and third files, as iPXE, shim and GRUB request them. Pure.

shim requests `grubx64.efi` beside itself; GRUB `grub.cfg-<uuid>`, `grub.cfg-01-<mac>`, `grub.cfg-<address in hex>`
and `grub.cfg` by TFTP, only `grub.cfg` by HTTP; iPXE `autoexec.ipxe`. The directories before such a name were
chosen when the loader was built, so they are ignored.
"""

import re
from collections.abc import Iterable
from typing import Final

from netboot.content.bootfiles.directories import BootFile, BootFiles
from netboot.model.boot.boot_client import Cpu
from netboot.model.boot.loader_names import LOADER_NAMES
from netboot.model.boot.offer import DocumentKind
from netboot.model.host.mac import Mac

_GRUB_CONFIG: Final = re.compile(r"grub\.cfg(?:-01-([0-9a-f]{2}(?:-[0-9a-f]{2}){5})|-[0-9a-f-]{1,36})?", re.IGNORECASE)
# What loaders request by themselves after they have started: shim, GRUB and PXELINUX, beside the documents above.
_REQUESTED_BY_LOADERS: Final = re.compile(
    r"(?:.*/)?(?:revocations[^/]*\.efi|shim_certificate_[0-9]+\.efi|(?:mm|fb)(?:x64|aa64|ia32|arm)\.efi|grubenv|"
    r"[^/]*\.(?:mod|lst|pf2|mo|cfg|ipxe|c32|e32|e64))|(?:.*/)?(?:pxelinux\.cfg|grub)/.*",
    re.IGNORECASE,
)
_CPU_OF_SUFFIX: Final = {"x64": Cpu.X64, "aa64": Cpu.ARM64, "ia32": Cpu.IA32, "arm": Cpu.ARM32}
_VENDORS: Final = ("redhat", "oracle", "centos", "fedora", "rocky", "almalinux")

# What distributions call the files that shim and firmware request by these names: Debian's and Ubuntu's shim-signed and
# grub-efi-amd64-signed, Red Hat's and Oracle's shim-x64 and grub2-efi-x64, SUSE's shim and grub2 (/usr/share/efi).
_OTHER_NAMES: Final = {
    **{
        f"shim{arch}.efi": (
            *(f"shim{arch}.efi.{signed}" for signed in ("signed", "signed.latest", "dualsigned")),
            *(f"shim{arch}-{vendor}.efi" for vendor in _VENDORS),
            *("shim.efi", "shim-opensuse.efi", "shim-sles.efi"),
        )
        for arch in _CPU_OF_SUFFIX
    },
    **{f"grub{arch}.efi": (f"grubnet{arch}.efi.signed", f"grubnet{arch}.efi", "grub.efi") for arch in _CPU_OF_SUFFIX},
    **{f"mm{arch}.efi": (f"mm{arch}.efi.signed", "MokManager.efi") for arch in _CPU_OF_SUFFIX},
}


def document_named(name: str) -> tuple[DocumentKind, Mac | None] | None:
    """Return which of its own documents a machine requests by this name, and the MAC in it; None: a plain file."""
    last = name.rpartition("/")[2]
    if last.casefold() == DocumentKind.IPXE_AUTOEXEC:
        return DocumentKind.IPXE_AUTOEXEC, None
    found = _GRUB_CONFIG.fullmatch(last)
    if found is None:
        return None
    try:
        return DocumentKind.GRUB_CONFIG, Mac.parse(found[1]) if found[1] else None
    except ValueError:
        return DocumentKind.GRUB_CONFIG, None


def is_requested_by_loaders(name: str) -> bool:
    """Return whether a loader requests this name by itself: then the name does not show that a server sent it."""
    return document_named(name) is not None or _REQUESTED_BY_LOADERS.fullmatch(name) is not None


def without_tail(name: str, offered: Iterable[str]) -> str | None:
    """Return the longest offered name that `name` continues with a tail; None if it continues none of them.

    Old ROMs read option 67 up to the next zero byte, so that END or the next option follows the name
    (netboot.xyz 1198). If a `/` follows the offered name, the requested name is that of another file.
    """
    plain = name.replace("\\", "/").lstrip("/")
    meant = [each for each in offered if plain.startswith(each) and plain[len(each) : len(each) + 1] not in ("", "/")]
    return max(meant, key=len, default=None)


def cpu_meant(name: str) -> Cpu | None:
    """Return the CPU that the name of a loader states; None for a name that states none, as snponly.efi."""
    for suffix, cpu in _CPU_OF_SUFFIX.items():
        if re.search(rf"(?:shim|grub|grubnet|gcd|mm|fb){suffix}(?:-\w+)?\.efi", name.rpartition("/")[2], re.IGNORECASE):
            return cpu
    stated = [cpu for cpu, names in LOADER_NAMES.items() if name in names]
    return stated[0] if len(stated) == 1 else None


def second_stage(name: str) -> str | None:
    """Return the file that a shim requests beside itself; None for a loader that is no shim.

    iPXE's shim (16.1) derives it from its own name, any other requests GRUB by the name of its CPU.
    """
    last = name.rpartition("/")[2].casefold()
    if found := re.fullmatch(r"(.+)-shim(?:x64|aa64)?\.efi(?:\..*)?", last):
        return f"{found[1]}.efi"
    if not last.startswith("shim"):
        return None
    suffix = next((suffix for suffix in _CPU_OF_SUFFIX if last.startswith(f"shim{suffix}")), "x64")
    return f"grub{suffix}.efi"


def find_loader(files: BootFiles, name: str) -> BootFile | None:
    """Find a boot file; shim, GRUB and MokManager in any directory and under each distribution's name."""
    file = files.find(name)
    last = name.rpartition("/")[2].casefold()
    if file is not None or last not in _OTHER_NAMES:
        return file
    cpu = next(cpu for suffix, cpu in _CPU_OF_SUFFIX.items() if last.endswith(f"{suffix}.efi"))
    found = (files.find(other) for other in (last, *_OTHER_NAMES[last]))
    return next((file for file in found if file is not None and file.cpu in (cpu, None)), None)
