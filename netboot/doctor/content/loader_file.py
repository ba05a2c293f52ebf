"""A boot file as it is: what its bytes are, for which CPU, who signed it, and what an iPXE in it lacks."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

from netboot.boot.firmware.requested_names import second_stage
from netboot.content.bootfiles.directories import BootFile
from netboot.content.pe_image import PeImage, read_pe
from netboot.content.pe_signatures import Signer, signers_of
from netboot.errors import ContentError

LARGEST_BYTES: Final = 64 << 20  # a loader; a unified kernel image can be as large
_SMALLEST_BIOS_BYTES: Final = 16 << 10  # every network loader for BIOS is larger
_LARGEST_BIOS_BYTES: Final = 0x9A000  # from 0x7C00 up to where a ROM's own data begin, below 640 KiB
_WEB_PAGE: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|\?xml|!--)", re.IGNORECASE)
_IPXE_VERSION: Final = re.compile(rb"\0(\d+\.\d+\.\d+\+?[0-9A-Za-z.()+~_-]{0,60})\0")
_KNOWN_HEADS: Final = {
    b"\x7fELF": "an ELF program",
    b"\x1f\x8b": "a gzip file, which no firmware unpacks",
    b"PK\x03\x04": "a zip file",
    b"\xfd7zXZ": "an xz file, which no firmware unpacks",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself",
}
# What Secure Boot's test builds are signed by. Their private keys are public, so that no firmware of a product trusts
# them: Debian's `ovmf` (PkKek-1-snakeoil), AMI's test platform key (PKfail), edk2's TestRoot and TestSub.
_TEST_SIGNER: Final = re.compile(r"snake.?oil|do not (?:trust|ship)|\btest\b|TestRoot|TestSub|TestCert", re.IGNORECASE)


class LoaderFormat(StrEnum):
    """What a firmware makes of a file."""

    UEFI = "a UEFI program"
    BIOS = "a loader for BIOS"
    UNUSABLE = "no loader"


@dataclass(frozen=True, slots=True)
class IpxeFeatures:
    """What an iPXE for UEFI shows of its build; one for BIOS is packed."""

    version: str
    has_http: bool
    has_syslog: bool


@dataclass(frozen=True)
class LoaderFile:
    """One boot file that was read. `fault`: why no firmware runs it; None if it may."""

    file: BootFile
    format: LoaderFormat
    fault: str | None = None
    image: PeImage | None = field(default=None, repr=False)
    ipxe: IpxeFeatures | None = None

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def is_shim(self) -> bool:
        """It starts a second file: by its name, as netboot recognises it, or by the certificate in it."""
        return second_stage(self.name) is not None or (self.image is not None and ".vendor_cert" in self.image.sections)

    @cached_property
    def signers(self) -> tuple[Signer, ...]:
        return () if self.image is None else signers_of(self.image)

    @property
    def test_signers(self) -> tuple[Signer, ...]:
        """Return the signers whose key is public."""
        return tuple(each for each in self.signers if _TEST_SIGNER.search(f"{each.name} {each.issuer}"))


def read_loader(file: BootFile) -> LoaderFile:
    """Read and classify a boot file. Blocks."""
    try:
        with file.path.open("rb") as opened:
            content = opened.read(LARGEST_BYTES + 1)
    except OSError as error:
        return LoaderFile(file, LoaderFormat.UNUSABLE, f"it cannot be read: {error.strerror}")
    if (what := _fault_of(content)) is not None:
        return LoaderFile(file, LoaderFormat.UNUSABLE, what)
    is_uefi_name = ".efi" in file.name.lower()
    if content[:2] != b"MZ":
        if is_uefi_name:
            return LoaderFile(file, LoaderFormat.UNUSABLE, "it is no UEFI program: it does not begin with MZ")
        return LoaderFile(file, LoaderFormat.BIOS, _bios_fault(content))
    try:
        image = read_pe(content)
    except ContentError as error:
        return LoaderFile(file, LoaderFormat.UNUSABLE, str(error))
    fault = None
    if image.missing_bytes:
        fault = f"it is cut off: {image.missing_bytes} of {len(content) + image.missing_bytes} bytes are missing"
    elif not is_uefi_name:
        fault = "it is a UEFI program, and its name is that of a loader for BIOS"
    return LoaderFile(file, LoaderFormat.UEFI, fault, image, _ipxe_build(content))


def _fault_of(content: bytes) -> str | None:
    if not content:
        return "it is empty"
    if len(content) > LARGEST_BYTES:
        return f"it has more than {LARGEST_BYTES >> 20} MiB, so it is no loader"
    if _WEB_PAGE.match(content):
        return "it is a web page, saved by this name: the download failed"
    return next((f"it is {what}" for head, what in _KNOWN_HEADS.items() if content.startswith(head)), None)


def _bios_fault(content: bytes) -> str | None:
    if len(content) < _SMALLEST_BIOS_BYTES:
        return f"it has {len(content)} bytes, and a network loader for BIOS has more than {_SMALLEST_BIOS_BYTES}"
    if len(content) > _LARGEST_BIOS_BYTES:
        return f"it has {len(content)} bytes, more than fit below 640 KiB, where a ROM loads it"
    return None


def _ipxe_build(content: bytes) -> IpxeFeatures | None:
    """Read the build of an iPXE for UEFI: its texts stand in it as they are, each behind a zero byte."""
    at = content.find(b"\0iPXE\0")
    if at < 0 or b" initialising devices" not in content:
        return None
    found = _IPXE_VERSION.search(content, at)
    version = found[1].decode("ascii") if found else ""
    return IpxeFeatures(version, b"\0http\0" in content, b"\0syslog\0" in content)
