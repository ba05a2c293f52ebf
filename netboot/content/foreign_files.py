"""Recognises files of other kinds by their first bytes, so that an import can name what it was given. Pure."""

from typing import Final

from netboot.content.unpacking import is_packed

HEAD_BYTES: Final = 0x8800  # up to the first volume descriptor of an ISO
ISO: Final = "an ISO; netboot content import-iso FILE"


def foreign_kind(head: bytes) -> str | None:
    """Return what a file is that begins so, an ISO with its cure; None if it may be a tar, packed or not."""
    if head[257:262] == b"ustar" or is_packed(head):
        return None
    if head[0x8001:0x8006] == b"CD001":  # ECMA-119 8.1; what is before it may be zeros, as the end of a tar
        return ISO
    if head[:4] == b"QFI\xfb":
        return "a qcow2 disk image"
    if head[:4] == b"KDMV" or head[:8] == b"conectix":
        return "a disk image"
    return "a raw disk image" if head[510:512] == b"\x55\xaa" else None
