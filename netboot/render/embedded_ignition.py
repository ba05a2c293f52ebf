"""The archive with which a first boot has its Ignition: a second initramfs with the file `/usr/lib/ignition/user.ign`.

Pure. Ignition reads that file if the kernel line names no configuration (2.16.2, `internal/exec/engine.go`). The kernel
unpacks the archive over the first one (Documentation/driver-api/early-userspace/buffer-format.rst): newc, and gzip,
because a compressed archive may begin at any offset of the initramfs.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable
from typing import Final

from netboot.errors import RenderError
from netboot.model.host.host import Host

ARCHIVE_NAME: Final = "netboot-ignition.img"  # beside the initramfs in /boot
LARGEST_MIB: Final = 4  # of the document, which the initramfs holds several times

_PATH: Final = "usr/lib/ignition/user.ign"
_DIRECTORY: Final = 0o040755
_FILE: Final = 0o100600
_ALIGNMENT: Final = 4


def wrapper(*, version: str, role: bytes, overlay: bytes) -> bytes:
    """Return the document that holds the role's file and the overlay, byte for byte: Ignition itself merges them."""
    children = [
        {
            "source": f"data:;base64,{base64.b64encode(part).decode()}",
            "compression": "",
            "verification": {"hash": f"sha512-{hashlib.sha512(part).hexdigest()}"},
        }
        for part in (role, overlay)
    ]
    document = {"ignition": {"version": version, "config": {"merge": children}}}
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def archive(host: Host, document: bytes) -> bytes:
    """Pack a document for the initramfs; the same document makes the same bytes. Raises RenderError if it is large."""
    if len(document) > LARGEST_MIB << 20:
        raise RenderError(
            f"cannot embed the Ignition of {host.name}: it has {len(document) / (1 << 20):.1f} MiB, and an initramfs "
            f"takes {LARGEST_MIB} MiB at most; set install.ignition: url, or shorten {host.ignition}"
        )
    parents = _PATH.split("/")[:-1]
    members = [("/".join(parents[: depth + 1]), _DIRECTORY, b"") for depth in range(len(parents))]
    return gzip.compress(_newc([*members, (_PATH, _FILE, document)]), mtime=0)


def _newc(members: Iterable[tuple[str, int, bytes]]) -> bytes:
    """Write a cpio archive of names, modes and contents, all owned by root (cpio(5), "New ASCII Format")."""
    written = bytearray()
    for number, (name, mode, content) in enumerate([*members, ("TRAILER!!!", 0, b"")], start=1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        written += b"070701" + b"".join(b"%08x" % field for field in fields)
        for part in (name.encode() + b"\0", content):
            written += part
            written += bytes(-len(written) % _ALIGNMENT)
    return bytes(written)
