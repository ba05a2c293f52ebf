"""Issues a certificate of the administration or the registry: for which names, into which files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509

from netboot.errors import CertificateError
from netboot.model.access.secret_file import is_credential
from netboot.operate.certificates.authority import CertificateAuthority
from netboot.yamlfile.value_kinds import DOMAIN_NAME

_WILDCARD: Final = "*."
_MOST_NAMES: Final = 100


@dataclass(frozen=True, slots=True)
class IssueRequest:
    """A certificate for `names`, valid for `days`, and its files; `group` may read the key."""

    names: Sequence[str]
    days: int
    certificate: Path
    key: Path
    group: int | None
    replaces_others: bool = False  # also a certificate that another authority issued


@dataclass(frozen=True, slots=True)
class Issued:
    """The certificate that is in its files now."""

    names: tuple[str, ...]
    ends_at: datetime
    certificate: Path
    key: Path


def issue(authority: CertificateAuthority, request: IssueRequest, *, now: datetime) -> Issued:
    """Issue a certificate and put it in place; raise CertificateError."""
    names = list(dict.fromkeys(map(checked_name, request.names)))
    if not names:
        raise CertificateError("no name and no address for the certificate; write them after netboot ca issue")
    if len(names) > _MOST_NAMES:
        raise CertificateError(f"{len(names)} names are too many for one certificate; write {_MOST_NAMES} at most")
    if is_credential(request.key):
        raise CertificateError(
            f"cannot write the key: {request.key} is a credential, which systemd copies at the start of the unit; "
            "name a file in admin.tls.key or registry.key, or write the file of LoadCredential= with another program"
        )
    if not request.replaces_others:
        _check_replaceable(authority, request.certificate)
    issued = authority.issue(names, days=request.days, now=now)
    issued.write(request.certificate, request.key, group=request.group)
    return Issued(issued.names, issued.certificate.not_valid_after_utc, request.certificate, request.key)


def checked_name(name: str) -> str:
    """Return a host name or address as a certificate has it; raise CertificateError."""
    text = name.removeprefix("[").removesuffix("]")
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    if len(name) > 253 or not DOMAIN_NAME.fullmatch(name.removeprefix(_WILDCARD)):
        what = f"{name!r} is neither a host name nor an address"
        raise CertificateError(f"{what}; write appliance.example.org or 192.0.2.1")
    return name.lower()


def _check_replaceable(authority: CertificateAuthority, path: Path) -> None:
    """Refuse to replace a certificate that this CA did not issue."""
    try:
        present = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except FileNotFoundError:
        return
    except OSError as error:
        raise CertificateError(f"cannot read {path}: {error.strerror}; run it as root") from error
    except ValueError:
        pass
    else:
        if authority.has_issued(present):
            return
    raise CertificateError(
        f"{path} is not a certificate of the CA {authority.path}; name other files in admin.tls or registry, "
        "or replace it with --force"
    )
