"""What a host was served last, without its tokens and passwords: kept so that a later plan can be compared with it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from netboot.model.host.host import HostName
from netboot.model.host.host_secrets import document_shown, without_values
from netboot.model.host.mac import Mac
from netboot.model.install.token import Tokens, hidden_in

LONGEST_TEXT: Final = 256 * 1024  # characters; of a longer one only the digest is kept


class ServedKind(StrEnum):
    """A document of an install."""

    SCRIPT = "script"  # of iPXE
    GRUB = "grub"
    KICKSTART = "kickstart"
    OVERLAY = "overlay"
    ROLE = "role"


@dataclass(frozen=True, slots=True)
class ServedDocument:
    """One document. `sha256` is over `text`, secrets hidden; of the role's file over its bytes, which are not kept."""

    host: HostName
    kind: ServedKind
    at: datetime
    mac: Mac  # the card that requested it
    base_url: str  # this server, as the machine reached it
    sha256: str
    text: str | None = None

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Read a row of the store, or what the API shows."""
        return cls(
            HostName(values["host"]),
            ServedKind(values["kind"]),
            datetime.fromisoformat(values["at"]),
            Mac(values["mac"]),
            values["base_url"],
            values["sha256"],
            values["text"],
        )

    @classmethod
    def of(
        cls,
        host: HostName,
        kind: ServedKind,
        served: bytes,
        *,
        tokens: Tokens,
        at: datetime,
        mac: Mac,
        base_url: str,
        secrets: Sequence[str] = (),
    ) -> Self:
        """Return the record of a served document; `secrets` are those of its host's declaration."""
        if kind is ServedKind.ROLE:
            return cls(host, kind, at, mac, base_url, hashlib.sha256(served).hexdigest())
        hide = without_values if kind is ServedKind.OVERLAY else document_shown
        text = hide(hidden_in(served.decode("utf-8", "replace"), tokens), secrets)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return cls(host, kind, at, mac, base_url, digest, text if len(text) <= LONGEST_TEXT else None)
