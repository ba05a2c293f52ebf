"""Reads a certificate and key that are served, verifies the pair, and makes the TLS context of it.

Reads files: call it in a thread. Nothing here keeps or shows the private key.
"""

import ssl
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from netboot.errors import CertificateError
from netboot.model.access import secret_file
from netboot.model.access.certificate_files import CertificateFiles, CertificateUse

WARNED_DAYS: Final = 14  # before the end of a certificate
_LARGEST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate whose key fits. `names`: the host names and addresses that it is for."""

    path: Path
    names: tuple[str, ...]
    subject: str
    issuer: str
    begins_at: datetime
    ends_at: datetime
    is_key_open: bool  # users other than owner and group may read the key
    use: CertificateUse = CertificateUse.ADMIN

    def is_valid_at(self, now: datetime) -> bool:
        return self.begins_at <= now < self.ends_at

    def problem(self, now: datetime) -> str | None:
        """Return why clients refuse it now."""
        if now >= self.ends_at:
            return f"{self._subject} ended at {self.ends_at:%Y-%m-%d %H:%M} UTC; {self._renewal}"
        if now < self.begins_at:
            begin = f"{self.begins_at:%Y-%m-%d %H:%M} UTC"
            return f"{self._subject} is valid from {begin}; verify the clock of this appliance"
        return None

    def warnings(self, now: datetime, *, wanted: Collection[str] = ()) -> Iterator[str]:
        """Yield that it ends soon, that others can read the key, and which of the `wanted` names it is not for."""
        left = self.ends_at - now
        if timedelta() < left <= timedelta(days=WARNED_DAYS):
            days = f"{left.days} day{'s' if left.days != 1 else ''}"
            end = f"{self.ends_at:%Y-%m-%d %H:%M} UTC, in {days}"
            yield f"{self._subject} ends at {end}; {self._renewal}"
        if self.is_key_open:
            yield f"{self.use}.key: every user may read the private key; chmod o-rwx it, and issue a new certificate"
        missing = sorted(name for name in wanted if not self.is_for(name))
        if missing:
            what = f"is not for {', '.join(missing)}, so {self.use.clients} refuse it there"
            yield f"{self._subject} {what}; {self.use.issue_command}, with all names"

    @property
    def _subject(self) -> str:
        return f"{self.use}: the certificate {self.path}"

    @property
    def _renewal(self) -> str:
        return f"{self.use.issue_command} writes a new one, or renew it where it comes from"

    def is_for(self, host: str) -> bool:
        """Return whether it names a host name or address; a wildcard stands for one label (RFC 9525 §6.3)."""
        wanted = _canonical(host)
        names = {_canonical(name) for name in self.names}
        return wanted in names or (not _is_address(wanted) and f"*.{wanted.partition('.')[2]}" in names)


def read_server_certificate(files: CertificateFiles) -> ServerCertificate:
    """Read a pair; raise CertificateError if it cannot be served. An ended certificate is no error here."""
    certificate, key = files.certificate, files.key
    leaf = _certificates(files, _read(certificate, files.use, "certificate"))[0]
    private = _private_key(files, _read(key, files.use, "key"))
    try:
        is_its_key = private.public_key() == leaf.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unreadable_certificate(files) from error
    if not is_its_key:
        raise CertificateError(
            f"{files.use}: the key {key} is not that of the certificate {certificate}; "
            "name the two files that were made together"
        )
    try:
        return ServerCertificate(
            certificate,
            _names(leaf),
            leaf.subject.rfc4514_string(),
            leaf.issuer.rfc4514_string(),
            leaf.not_valid_before_utc,
            leaf.not_valid_after_utc,
            _is_open(key),
            files.use,
        )
    except ValueError as error:
        raise _unreadable_certificate(files) from error


def tls_context(files: CertificateFiles) -> ssl.SSLContext:
    """Make the context that serves a pair: TLS 1.2 and later, HTTP/1.1; raise CertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        # With an empty password, so that OpenSSL does not read one from the terminal.
        context.load_cert_chain(files.certificate, files.key, password=b"")
    except (OSError, ssl.SSLError) as error:
        what = f"cannot serve {files.certificate} with {files.key}"
        raise CertificateError(f"{files.use}: {what}: {error.strerror or error}") from error
    return context


def _read(path: Path, use: CertificateUse, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES)
    except OSError as error:
        missing = f"{use.issue_command} makes a certificate and its key, or correct {use}.{what}"
        group = f"chgrp netboot {path} && chmod g+r {path}"
        readable = f"the daemon's user must be able to read it: {group}"
        cure = secret_file.cure_of(path) or (missing if isinstance(error, FileNotFoundError) else readable)
        raise CertificateError(f"{use}.{what}: cannot read {path}: {error.strerror}; {cure}") from error
    return content


def _certificates(files: CertificateFiles, content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise _unreadable_certificate(files) from error


def _unreadable_certificate(files: CertificateFiles) -> CertificateError:
    what = f"{files.certificate} has no certificate that can be read"
    return CertificateError(f"{files.use}.certificate: {what}; name a file in PEM, the server's own certificate first")


def _private_key(files: CertificateFiles, content: bytes) -> PrivateKeyTypes:
    path = files.key
    try:
        return load_pem_private_key(content, password=None)
    except TypeError as error:
        cure = f"the daemon has no password for it: openssl pkey -in {path} -out FILE writes it without"
        raise CertificateError(f"{files.use}.key: {path} is encrypted; {cure}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(
            f"{files.use}.key: {path} has no private key that can be read; name a file in PEM"
        ) from error


def _is_open(key: Path) -> bool:
    """Return whether users other than its owner and group can read a file."""
    directories = key.resolve().parents
    return bool(key.stat().st_mode & 0o004) and all(each.stat().st_mode & 0o001 for each in directories)


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    addresses = found.get_values_for_type(x509.IPAddress)
    return (*found.get_values_for_type(x509.DNSName), *map(str, addresses))


def _canonical(host: str) -> str:
    return str(ip_address(host)) if _is_address(host) else host.lower().rstrip(".")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
