"""The certificate authority of one appliance, and the certificates that it issues for the administration.

ECDSA P-256; extensions as RFC 5280 §4.2 and the CA/Browser Forum's baseline requirements have them. The key of the CA
is for the person who issues: mode 0600, and the daemon neither needs nor reads it.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from netboot.errors import CertificateError

CA_DIRECTORY: Final = "tls"  # beside netboot.yaml
AUTHORITY_DAYS: Final = 3650
_CLOCK_SLACK: Final = timedelta(hours=1)  # a client's clock may be behind
_LONGEST_NAME: Final = 64  # of a common name: RFC 5280, ub-common-name
_KEY_MODE: Final = 0o600
_SHARED_MODE: Final = 0o640
_OPEN_MODE: Final = 0o644


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """A CA that can be shown; `issue` reads its key."""

    directory: Path
    certificate: x509.Certificate

    @property
    def path(self) -> Path:
        """The file that administrators' computers trust."""
        return _certificate_path(self.directory)

    @property
    def key_path(self) -> Path:
        return _key_path(self.directory)

    @property
    def name(self) -> str:
        found = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(found[0].value) if found else self.certificate.subject.rfc4514_string()

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, as openssl and browsers show it."""
        return self.certificate.fingerprint(SHA256()).hex(":").upper()

    @property
    def ends_at(self) -> datetime:
        return self.certificate.not_valid_after_utc

    def anchor_for(self, path: Path) -> str:
        """Return this CA's certificate in PEM if it issued that of a server in a file; empty: it did not."""
        try:
            served = x509.load_pem_x509_certificates(path.read_bytes())[0]
        except (OSError, ValueError):
            return ""
        return self.certificate.public_bytes(Encoding.PEM).decode() if self.has_issued(served) else ""

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """Read the CA of a directory; None: there is none. Raises CertificateError."""
        path = _certificate_path(directory)
        try:
            return cls(directory, x509.load_pem_x509_certificate(path.read_bytes()))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CertificateError(f"cannot read {path}: {error.strerror}; run it as root") from error
        except ValueError as error:
            raise CertificateError(f"{path} is no certificate; restore it, or netboot ca init --force") from error

    @classmethod
    def create(cls, directory: Path, name: str, *, now: datetime, group: int | None) -> Self:
        """Make a CA with a new key, in place of any other; `group` may enter the directory."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_LONGEST_NAME])])
        builder = _builder(
            subject, subject, key.public_key(), begins_at=now, ends_at=now + timedelta(days=AUTHORITY_DAYS)
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        certificate = builder.sign(key, SHA256())
        try:
            make_directory(directory, group=group)
            _replace(
                (_key_path(directory), _pem_of(key), _KEY_MODE, None),
                (_certificate_path(directory), certificate.public_bytes(Encoding.PEM), _OPEN_MODE, None),
            )
        except OSError as error:
            raise _cannot_write(error) from error
        return cls(directory, certificate)

    def has_issued(self, certificate: x509.Certificate) -> bool:
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except Exception:  # cryptography documents ValueError, TypeError and InvalidSignature
            return False
        return True

    def issue(self, names: Sequence[str], *, days: int, now: datetime) -> "IssuedCertificate":
        """Issue a certificate with a new key for host names and addresses; raise CertificateError."""
        key = ec.generate_private_key(ec.SECP256R1())
        ends_at = min(now + timedelta(days=days), self.ends_at)
        if ends_at <= now:
            raise CertificateError(f"the CA {self.path} ended at {self.ends_at:%Y-%m-%d}; netboot ca init --force")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:_LONGEST_NAME])])
        issuer = self.certificate
        builder = _builder(subject, issuer.subject, key.public_key(), begins_at=now, ends_at=ends_at)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([*map(_general_name, names)]), critical=False)
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        certificate = builder.add_extension(authority, critical=False).sign(self._key(), SHA256())
        return IssuedCertificate(tuple(names), certificate, key)

    def _key(self) -> ec.EllipticCurvePrivateKey:
        path = self.key_path
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise CertificateError(f"cannot read the CA's key {path}: {error.strerror}; run it as root") from error
        except (ValueError, TypeError) as error:
            raise CertificateError(
                f"{path} is no key without password; restore it, or netboot ca init --force"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != self.certificate.public_key():
            raise CertificateError(f"{path} is not the key of {self.path}; restore it, or netboot ca init --force")
        return key


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A new certificate with its key, which is in no file yet."""

    names: tuple[str, ...]
    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey

    def write(self, certificate: Path, key: Path, *, group: int | None) -> None:
        """Replace both files, the key first; `group` may read the key."""
        try:
            for directory in (key.parent, certificate.parent):
                make_directory(directory, group=group)
            _replace(
                (key, _pem_of(self._key), _KEY_MODE if group is None else _SHARED_MODE, group),
                (certificate, self.certificate.public_bytes(Encoding.PEM), _OPEN_MODE, None),
            )
        except OSError as error:
            raise _cannot_write(error) from error


def make_directory(directory: Path, *, group: int | None) -> None:
    """Make a directory that others may not enter, if it is missing; raise OSError."""
    if directory.exists():
        return
    directory.mkdir(mode=0o750, parents=True)
    if group is not None:
        os.chown(directory, -1, group)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, begins_at: datetime, ends_at: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(
        issuer, subject, key, x509.random_serial_number(), begins_at - _CLOCK_SLACK, ends_at
    )
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _replace(*files: tuple[Path, bytes, int, int | None]) -> None:
    """Replace files, each with its content, mode and group, by renames that follow each other; raise OSError."""
    drafts: list[tuple[Path, Path]] = []
    try:
        for path, content, mode, group in files:
            descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # with mode 0600
            drafts.append((Path(draft), path))
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                if group is not None:
                    os.fchown(file.fileno(), -1, group)
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
        for written, path in drafts:
            written.replace(path)
    finally:
        for written, _ in drafts:
            written.unlink(missing_ok=True)


def _certificate_path(directory: Path) -> Path:
    return directory / "ca.pem"


def _key_path(directory: Path) -> Path:
    return directory / "ca.key"


def _cannot_write(error: OSError) -> CertificateError:
    return CertificateError(f"cannot write {error.filename}: {error.strerror}; run it as root")
