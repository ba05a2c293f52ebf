"""What a machine's second and third files are called: by iPXE, shim and GRUB, each in its own way. Pure.

shim asks for `grubx64.efi` beside itself; GRUB for `grub.cfg-<uuid>`, `grub.cfg-01-<mac>`, `grub.cfg-<address in hex>`
and `grub.cfg` by TFTP, for `grub.cfg` alone by HTTP; iPXE for `autoexec.ipxe`. The directories before such a name are
whatever the builder of the loader chose, so they do not count. facts/wire.md §6.
"""

import re
from typing import Final

from netboot.content.bootfiles import BootFile, BootFiles
from netboot.model.mac import Mac
from netboot.model.offer import DocumentKind

_GRUB_CONFIG: Final = re.compile(r"grub\.cfg(?:-01-([0-9a-f]{2}(?:-[0-9a-f]{2}){5})|-[0-9a-f-]{1,36})?", re.IGNORECASE)
_ARCHES: Final = ("x64", "aa64", "ia32", "arm")

# What distributions call the files that shim and firmware ask for by these names: as they lie in Debian's packages
# shim-signed and grub-efi-amd64-signed, in Red Hat's shim-x64 and grub2-efi-x64.
_OTHER_NAMES: Final = {
    **{f"shim{arch}.efi": (f"shim{arch}.efi.signed", f"shim{arch}-redhat.efi") for arch in _ARCHES},
    **{f"grub{arch}.efi": (f"grubnet{arch}.efi.signed", f"grubnet{arch}.efi") for arch in _ARCHES},
    **{f"mm{arch}.efi": (f"mm{arch}.efi.signed",) for arch in _ARCHES},
}


def document_named(name: str) -> tuple[DocumentKind, Mac | None] | None:
    """Tell which document of its own a machine asks for by this name, and the MAC in it; None: a plain file."""
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


def find_loader(files: BootFiles, name: str) -> BootFile | None:
    """Find a boot file; shim, GRUB and MokManager in whichever directory and under whichever name they lie."""
    file = files.find(name)
    last = name.rpartition("/")[2].casefold()
    if file is not None or last not in _OTHER_NAMES:
        return file
    return next((file for other in (last, *_OTHER_NAMES[last]) if (file := files.find(other)) is not None), None)
