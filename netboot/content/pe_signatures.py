"""Who signed a PE image, and whom a shim trusts.

Reads certificates and compares the signed hash with the file, as an operator needs it; it is no verification: the
firmware and shim do that. Formats: Authenticode PE (PKCS#7 SignedData), shim's `cert.S` (section `.vendor_cert`),
UEFI §32.4.1 (EFI_SIGNATURE_LIST), shim's SBAT.md.
"""

import csv
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct, error
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates
from cryptography.x509.oid import NameOID

from netboot.content.pe_image import PeImage

_VENDOR_TABLE: Final = Struct("<IIII")  # sizes of authorized and revoked, then their offsets
_SIGNATURE_LIST: Final = Struct("<16sIII")  # type, size of the list, of its header, of each signature
_X509: Final = UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le
_OWNER_BYTES: Final = 16
_LEVELS: Final = Struct("<II")  # offsets of the automatic and of the latest level, behind the version
_NO_NAME: Final = "a certificate without a name"


@dataclass(frozen=True, slots=True)
class Signer:
    """One signature: the certificate that made it, and the others beside it."""

    name: str
    issuer: str
    is_of_this_content: bool  # the signed hash is that of the file as it is
    certificate: x509.Certificate = field(repr=False)
    beside: tuple[x509.Certificate, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return f"{self.name}, issued by {self.issuer}"


@dataclass(frozen=True, slots=True)
class SbatLevels:
    """The levels that a shim sets: each component and the lowest generation that it starts."""

    automatic: Mapping[str, int]
    latest: Mapping[str, int]


def signers_of(image: PeImage) -> tuple[Signer, ...]:
    """Return the signer of each signature that can be read."""
    return tuple(signer for each in image.signatures if (signer := _signer(each, image)) is not None)


def vendor_certificates(shim: PeImage) -> tuple[x509.Certificate, ...]:
    """Return the certificates in a shim, which start what they signed; empty if it has none."""
    section = shim.sections.get(".vendor_cert", b"")
    try:
        size, _, offset, _ = _VENDOR_TABLE.unpack_from(section)
    except error:
        return ()
    authorized = section[offset : offset + size]
    return tuple(_certificates(_in_lists(authorized) if authorized[:16] == _X509 else [authorized]))


def is_trusted(signer: Signer, authorities: Sequence[x509.Certificate]) -> bool:
    """Return whether one of these certificates is the signer's own, or issued it, directly or by those beside it."""
    chain, left = [signer.certificate], list(signer.beside)
    while issuers := [each for each in left if _has_issued(each, chain[-1])]:
        chain.append(issuers[0])
        left.remove(issuers[0])
    return any(each == authority or _has_issued(authority, each) for authority in authorities for each in chain)


def sbat_generations(image: PeImage) -> Mapping[str, int]:
    """Return the generation of each component in an image's `.sbat`; empty if it has none."""
    return _generations(image.sections.get(".sbat", b"").rstrip(b"\0").decode("utf-8", "replace"))


def sbat_levels(shim: PeImage) -> SbatLevels | None:
    """Return the levels that a shim sets in the machine; None if it has none (before 15.7)."""
    section = shim.sections.get(".sbatlevel", b"")[4:]
    try:
        automatic, latest = _LEVELS.unpack_from(section)
    except error:
        return None
    texts = (section[at:].partition(b"\0")[0].decode("utf-8", "replace") for at in (automatic, latest))
    return SbatLevels(*map(_generations, texts))


def common_name(name: x509.Name) -> str:
    """Return the common name of a certificate's subject or issuer."""
    found = [*name.get_attributes_for_oid(NameOID.COMMON_NAME), *name]
    return str(found[0].value) if found else _NO_NAME


def _generations(text: str) -> Mapping[str, int]:
    rows = (row for row in csv.reader(text.splitlines()) if len(row) > 1 and row[1].isdecimal())
    return {row[0]: int(row[1]) for row in rows}


def _signer(signature: bytes, image: PeImage) -> Signer | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about certificates of others
            certificates = load_der_pkcs7_certificates(_without_padding(signature))
    except ValueError:
        return None
    issuers = {each.issuer for each in certificates if each.issuer != each.subject}
    leaves = [each for each in certificates if each.subject not in issuers]
    if not leaves:
        return None
    leaf = leaves[0]
    return Signer(
        common_name(leaf.subject),
        common_name(leaf.issuer),
        any(each in signature for each in image.hashes),
        leaf,
        tuple(each for each in certificates if each is not leaf),
    )


def _without_padding(der: bytes) -> bytes:
    """Cut what stands behind a DER element: a WIN_CERTIFICATE is padded to 8 bytes."""
    size = der[1] if len(der) > 1 else 0
    if size < 0x80:
        return der[: 2 + size]
    count = size & 0x7F
    return der[: 2 + count + int.from_bytes(der[2 : 2 + count], "big")]


def _in_lists(data: bytes) -> Iterator[bytes]:
    """Yield the certificates of several EFI_SIGNATURE_LISTs."""
    at = 0
    while at + _SIGNATURE_LIST.size <= len(data):
        kind, list_bytes, header_bytes, each_bytes = _SIGNATURE_LIST.unpack_from(data, at)
        if list_bytes < _SIGNATURE_LIST.size or each_bytes <= _OWNER_BYTES:
            return
        if kind == _X509:
            first = at + _SIGNATURE_LIST.size + header_bytes
            for start in range(first, at + list_bytes - each_bytes + 1, each_bytes):
                yield data[start + _OWNER_BYTES : start + each_bytes]
        at += list_bytes


def _certificates(encoded: Sequence[bytes] | Iterator[bytes]) -> Iterator[x509.Certificate]:
    for each in encoded:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield x509.load_der_x509_certificate(_without_padding(each))
        except ValueError:
            continue


def _has_issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
