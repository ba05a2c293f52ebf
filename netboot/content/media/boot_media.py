"""A boot medium on disk: kernel, initrd and stage 2 of one installer, under the names that clients request.

A medium is flat (`vmlinuz`, `initrd.img`, `images/install.img`) or laid out as on its ISO (`images/pxeboot/…`); both
names are served in both cases. If it has no `.treeinfo`, one is generated: lorax writes none to a boot ISO.
Reads files, so call it off the loop. Never writes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from netboot.content.media.medium_facts import release_version, treeinfo_values
from netboot.content.pe_image import pe_architecture
from netboot.content.unpacking import UNPACK_ERRORS, is_packed, unpacked
from netboot.errors import ContentError, raise_without_descriptor
from netboot.model.release import ContentKind, EntryKind

# The files that scripts and Anaconda request: their possible places, best first.
KERNEL: Final = ("vmlinuz", "images/pxeboot/vmlinuz")
INITRD: Final = ("initrd.img", "images/pxeboot/initrd.img")
STAGE2: Final = ("images/install.img", "LiveOS/squashfs.img")
TREEINFO: Final = ".treeinfo"

KIND_OF_MEMBER: Final = {
    **dict.fromkeys(KERNEL, ContentKind.KERNEL),
    **dict.fromkeys(INITRD, ContentKind.INITRD),
    **dict.fromkeys(STAGE2, ContentKind.STAGE2),
    TREEINFO: ContentKind.TREEINFO,
}
ALIASES: Final = {name: other for pair in (KERNEL, INITRD) for name, other in (pair, pair[::-1])}

HEAD_BYTES: Final = 0x8000  # the setup code of a bzImage, which contains its version text, is at most 64 sectors


def check_medium(directory: Path, name: str) -> None:
    """Check that a medium has kernel, initrd and stage 2; raise ContentError with the missing ones."""
    root = EntryKind.MEDIUM.path(directory, name)
    if not root.is_dir():
        raise ContentError(
            f"cannot find boot medium {name}: {root} is not a directory; "
            f"netboot content import-iso FILE --name {name}, or copy vmlinuz, initrd.img and images/install.img there"
        )
    missing = [names[0] for names in (KERNEL, INITRD, STAGE2) if _present(root, names) is None]
    if missing:
        raise ContentError(f"boot medium {name} has no {' and no '.join(missing)}; copy it from the ISO into {root}")


def stage2_named(treeinfo: str) -> str | None:
    """Return the stage 2 that the text of a `.treeinfo` names; None if it names none."""
    return treeinfo_values(treeinfo, "stage2").get("mainimage")


def installer_major(directory: Path, name: str) -> int | None:
    """Return the major release of a medium's installer (8 for Oracle Linux 8); None if no file on it contains it."""
    root = EntryKind.MEDIUM.path(directory, name)
    version = treeinfo_values(text_of(root / TREEINFO)).get("version") or _version_without_treeinfo(root)
    major = version.partition(".")[0]
    return int(major) if major.isdecimal() and len(major) < 4 else None


def medium_architecture(directory: Path, name: str) -> str | None:
    """Return `x86_64` or `aarch64`, what a medium's kernel is built for; None if that is not known."""
    return kernel_architecture(_head_of_kernel(EntryKind.MEDIUM.path(directory, name)))


def _present(root: Path, names: Sequence[str]) -> str | None:
    return next((name for name in names if (root / name).is_file()), None)


def _version_without_treeinfo(root: Path) -> str:
    return release_version(text_of(root / ".discinfo"), kernel_version(_head_of_kernel(root)))


def _head_of_kernel(root: Path) -> bytes:
    """Read the first bytes of a medium's kernel; empty if it cannot be read."""
    try:
        with (root / (_present(root, KERNEL) or KERNEL[0])).open("rb") as image:
            return image.read(HEAD_BYTES)
    except OSError as error:
        raise_without_descriptor(error)
        return b""


def text_of(path: Path) -> str:
    """Read a text file; empty if it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise_without_descriptor(error)
        return ""


def kernel_architecture(head: bytes) -> str | None:
    """Return `x86_64` or `aarch64` from the first bytes of a kernel image; None if it is neither.

    Linux Documentation/arch/x86/boot.rst (HdrS at 0x202), arm64/booting.rst (magic at 0x38), PE/COFF §3.3 for
    EFI zboot images; a gzip-packed arm64 Image, as in EL8, is unpacked.
    """
    if is_packed(head):
        try:
            head = next(unpacked(iter([head])), b"")
        except UNPACK_ERRORS:
            return None
    if head[0x202:0x206] == b"HdrS":
        return "x86_64"
    if head[0x38:0x3C] == b"ARM\x64":
        return "aarch64"
    return pe_architecture(head)


def kernel_version(head: bytes) -> str:
    """Read the version text of an x86 kernel (`5.15.0-206.153.7.el8uek.x86_64 …`); empty if there is none."""
    if head[0x202:0x206] != b"HdrS":
        return ""
    at = int.from_bytes(head[0x20E:0x210], "little") + 0x200
    return head[at : at + 128].partition(b"\0")[0].decode("ascii", "replace")


def made_treeinfo(root: Path, version: str = "") -> bytes | None:
    """Generate the `.treeinfo` of a medium that has none; None if kernel or stage 2 is missing.

    Anaconda reads only `[stage2] mainimage`; the other keys are for people and other tools.
    `version` is the release (`8.10`); empty if the caller has not found it.
    """
    kernel, stage2 = _present(root, KERNEL), _present(root, STAGE2)
    if kernel is None or stage2 is None:
        return None
    arch = kernel_architecture(_head_of_kernel(root)) or "x86_64"
    version = version or _version_without_treeinfo(root)
    return (
        "[general]\n"
        "family = Oracle Linux\n"
        + (f"version = {version}\n" if version else "")
        + f"name = {' '.join(filter(None, ('Oracle Linux', version)))}\n"
        f"arch = {arch}\n"
        "\n[stage2]\n"
        f"mainimage = {stage2}\n"
        f"\n[images-{arch}]\n"
        f"kernel = {kernel}\n"
        f"initrd = {_present(root, INITRD) or INITRD[0]}\n"
    ).encode()
