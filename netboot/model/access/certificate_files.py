"""The files of a certificate that this appliance serves, and the setting and command that messages about it name."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class CertificateUse(StrEnum):
    """What a certificate is served for; the value is the setting that has the keys `certificate` and `key`."""

    ADMIN = "admin.tls"
    REGISTRY = "registry"

    @property
    def issue_command(self) -> str:
        return "netboot ca issue" if self is CertificateUse.ADMIN else "netboot ca issue --registry"

    @property
    def clients(self) -> str:
        """Those that verify it."""
        return "browsers" if self is CertificateUse.ADMIN else "nodes"


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate and its key, in PEM."""

    certificate: Path
    key: Path
    use: CertificateUse = CertificateUse.ADMIN
