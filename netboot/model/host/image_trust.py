"""Where a node gets its container images and OS updates besides their registries, and the CAs that it trusts for it."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RegistryMirror:
    """One mirror of a registry: HOST[:PORT][/PATH]; `insecure`: by HTTP, or HTTPS with any certificate."""

    location: str
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class CaAnchor:
    """The CA certificates of one PEM file, as they were when the hosts were read."""

    path: Path
    pem: str = field(repr=False)  # the certificates alone
    ends_at: datetime | None = None  # the first end of one of them; None: none of them is of a CA

    @property
    def name(self) -> str:
        """The name of the file on the node."""
        return self.path.name
