"""PE images: the CPU that a boot loader or an EFI kernel is built for, its sections, and its signatures as bytes.

PE/COFF specification §3.3 (headers), §4 (section table), §5.7 (attribute certificates); Authenticode PE §4 (the hash).
`content.pe_signatures` reads who signed.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from struct import Struct, error, unpack_from
from typing import Final

from netboot.errors import ContentError
from netboot.model.boot.boot_client import Cpu

_CPU_OF_MACHINE: Final = {
    0x014C: Cpu.IA32,
    0x8664: Cpu.X64,
    0x01C0: Cpu.ARM32,
    0x01C2: Cpu.ARM32,
    0x01C4: Cpu.ARM32,
    0xAA64: Cpu.ARM64,
    0x5064: Cpu.RISCV64,
    0x6264: Cpu.LOONGARCH64,
}
_KERNEL_NAMES: Final[Mapping[Cpu | None, str]] = {Cpu.X64: "x86_64", Cpu.ARM64: "aarch64"}

_COFF: Final = Struct("<4sHHIIIHH")  # magic, machine, sections, time, symbol table, symbols, optional header, flags
_SECTION: Final = Struct("<8sIIII16x")  # name, size and place in memory, size and place in the file
_WIN_CERTIFICATE: Final = Struct("<IHH")  # length with this header, revision, type
_SYMBOL_BYTES: Final = 18
_DIRECTORIES_AT: Final = {0x10B: 96, 0x20B: 112}  # of PE32 and PE32+, behind the start of the optional header
_CHECKSUM_AT: Final = 64
_CERTIFICATES: Final = 4  # the directory of the certificate table
_PKCS7: Final = 2  # WIN_CERT_TYPE_PKCS_SIGNED_DATA


@dataclass(frozen=True, slots=True)
class PeImage:
    """One image. `signatures` has the PKCS#7 of every WIN_CERTIFICATE; a file signed twice has two.

    `missing_bytes`: how much shorter the file is than its headers state; such a file has no sections and signatures
    beyond its end.
    """

    cpu: Cpu | None
    sections: Mapping[str, bytes]
    signatures: tuple[bytes, ...]
    missing_bytes: int
    hashes: frozenset[bytes]  # SHA-256 and SHA-1, what a signature contains of a file that was not changed since


def pe_cpu(head: bytes) -> Cpu | None:
    """Read the CPU from the first bytes of a PE image; None for anything else."""
    at = int.from_bytes(head[0x3C:0x40], "little")
    if head[:2] != b"MZ" or head[at : at + 4] != b"PE\0\0":
        return None
    return _CPU_OF_MACHINE.get(int.from_bytes(head[at + 4 : at + 6], "little"))


def pe_architecture(head: bytes) -> str | None:
    """Read the architecture of a PE image as kernels are named, `x86_64` or `aarch64`; None for any other."""
    return _KERNEL_NAMES.get(pe_cpu(head))


def is_signed(head: bytes) -> bool:
    """Return whether the first bytes of a PE image name a certificate table; who signed it needs the whole image."""
    at = int.from_bytes(head[0x3C:0x40], "little") + _COFF.size
    try:
        directories = at + _DIRECTORIES_AT[unpack_from("<H", head, at)[0]]
        count, *_ = unpack_from("<I", head, directories - 4)
        place, size_bytes = unpack_from("<II", head, directories + 8 * _CERTIFICATES)
    except (error, KeyError):
        return False
    return bool(count > _CERTIFICATES and place and size_bytes)


def read_pe(content: bytes) -> PeImage:
    """Read a whole PE image, also one that is cut off behind its headers; raise ContentError for anything else."""
    at = int.from_bytes(content[0x3C:0x40], "little")
    try:
        magic, machine, count, _, symbols, symbol_count, optional_bytes, _ = _COFF.unpack_from(content, at)
        if content[:2] != b"MZ" or magic != b"PE\0\0":
            raise ContentError("it is no PE image")
        optional = at + _COFF.size
        directories = optional + _DIRECTORIES_AT[unpack_from("<H", content, optional)[0]]
        has_table = unpack_from("<I", content, directories - 4)[0] > _CERTIFICATES
        entry = directories + 8 * _CERTIFICATES
        table, table_bytes = unpack_from("<II", content, entry) if has_table else (0, 0)
        sections = [_SECTION.unpack_from(content, optional + optional_bytes + _SECTION.size * n) for n in range(count)]
    except (error, KeyError) as damaged:
        raise ContentError("its PE headers are cut off or damaged") from damaged
    end = max([table + table_bytes, *(place + size for _, _, _, size, place in sections if size)])
    table = table or len(content)
    strings = content[symbols + _SYMBOL_BYTES * symbol_count :] if symbols else b""
    ends = {table, max((place + size for _, _, _, size, place in sections if size), default=table)}
    left_out = [(optional + _CHECKSUM_AT, 4)] + ([(entry, 8)] if has_table else [])
    return PeImage(
        cpu=_CPU_OF_MACHINE.get(machine),
        sections={
            _section_name(name, strings): content[place : place + min(size, used or size)]
            for name, used, _, size, place in sections
        },
        signatures=tuple(_signatures(content[table : table + table_bytes])),
        missing_bytes=max(0, end - len(content)),
        hashes=frozenset(each for end in ends for each in _hashes(content, left_out, end, table + table_bytes)),
    )


def _section_name(name: bytes, strings: bytes) -> str:
    """Return the name of a section; one of more than 8 bytes is in the string table, at the offset behind its `/`."""
    text = name.rstrip(b"\0")
    if text[:1] == b"/" and text[1:].isdigit() and strings:
        text = strings[int(text[1:]) :].partition(b"\0")[0]
    return text.decode("ascii", "replace")


def _signatures(table: bytes) -> Iterator[bytes]:
    at = 0
    while at + _WIN_CERTIFICATE.size <= len(table):
        length, _, kind = _WIN_CERTIFICATE.unpack_from(table, at)
        if length < _WIN_CERTIFICATE.size:
            return
        if kind == _PKCS7:
            yield table[at + _WIN_CERTIFICATE.size : at + length]
        at += -(-length // 8) * 8


def _hashes(content: bytes, left_out: list[tuple[int, int]], end: int, rest: int) -> Iterator[bytes]:
    """Hash a file without its checksum and certificate table, up to `end` and from `rest` on."""
    for made in (hashlib.sha256(), hashlib.sha1(usedforsecurity=False)):
        start = 0
        for at, size in left_out:
            made.update(content[start:at])
            start = at + size
        made.update(content[start:end])
        made.update(content[rest:])
        yield made.digest()
