"""Seals values of the store with a key that is not in it, so that a copy of the store without the key opens nothing.

A sealed value is `s1.DIGEST.DATA`: the version of the format, the digest of the key, and in base64url a nonce of 96
random bits and what AES-256-GCM made of the text (NIST SP 800-38D). Table, column and primary key are its associated
data: a value that is copied to another row does not open. A token is found by its SHA-256, which is stored beside it:
it has 128 random bits, so that nobody can try them.

Does no I/O; `sealing.key_file` reads the key.
"""

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from netboot.errors import StoreKeyError

if TYPE_CHECKING:
    from sqlalchemy import Column  # slow to load, and `netboot check` needs the key only

log = structlog.get_logger()

KEY_BYTES: Final = 32
FORMAT: Final = "s1"
_NONCE_BYTES: Final = 12
_MOST_LOGGED: Final = 100  # values that do not open


@dataclass(frozen=True, slots=True)
class StoreKey:
    """The key of a store. `digest` names it and does not lead to it; the cipher has a key of its own."""

    secret: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        return self._derived(b"netboot store: digest")[:8].hex()

    def fingerprints(self) -> bytes:
        """Return the key of `Sealing.fingerprint`."""
        return self._derived(b"netboot store: fingerprint")

    def cipher(self) -> AESGCM:
        return AESGCM(self._derived(b"netboot store: seal"))

    def _derived(self, purpose: bytes) -> bytes:
        return hmac.digest(self.secret, purpose, "sha256")  # as HKDF-Expand does, RFC 5869


class Sealing:
    """Seals and opens with one key, or with none because of `fault`, which has the cure."""

    def __init__(self, key: StoreKey | None, fault: str | None = None) -> None:
        self.key_digest = key.digest if key else ""
        self.fault = fault if key is None else None
        self._cipher = key.cipher() if key else None
        self._fingerprints = key.fingerprints() if key else None
        self._unopened: set[bytes] = set()

    def problem(self) -> str | None:
        """Return why values of the store are not known: no key, or values that were changed."""
        if self.fault is None and self._unopened:
            return (
                f"{len(self._unopened)} values of the store are not what netboot sealed, see store.value_refused in "
                "the log; restore a backup, or arm these hosts again"
            )
        return self.fault

    def fingerprint(self, data: bytes) -> str:
        """Return a short text that is equal for equal data under this key, and reveals nothing; empty without a key."""
        return hmac.digest(self._fingerprints, data, "sha256")[:8].hex() if self._fingerprints else ""

    def seal(self, text: str, column: "Column[Any]", row: Mapping[Any, Any]) -> str:
        """Return `text` sealed for this column of this row; raise StoreKeyError without a key."""
        if self._cipher is None:
            raise StoreKeyError(self.fault or "the store has no key")
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, text.encode(), _place(column, row))
        return f"{FORMAT}.{self.key_digest}.{urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, column: "Column[Any]", row: Mapping[Any, Any]) -> str | None:
        """Return the text of a value; None without the key, or if it was sealed by another one or for another place."""
        if self._cipher is None:
            return None
        place = _place(column, row)
        form, _, rest = sealed.partition(".")
        digest, _, encoded = rest.partition(".")
        try:
            if (form, digest) == (FORMAT, self.key_digest):
                data = urlsafe_b64decode(encoded)
                return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], place).decode()
        except (InvalidTag, ValueError):
            pass
        if place not in self._unopened and len(self._unopened) < _MOST_LOGGED:
            self._unopened.add(place)
            log.error("store.value_refused", place=place.decode(), format=form[:8], key=digest[:16])
        return None


def is_sealed(value: str) -> bool:
    return value.startswith(f"{FORMAT}.")


def requested_digest(token: str) -> str:
    """Return what the row of a requested token has; no row has that of an empty one."""
    return hashlib.sha256(token.encode()).hexdigest()


def token_digest(token: str) -> str | None:
    """Return what a token is found by; None for an empty one."""
    return requested_digest(token) if token else None


def _place(column: "Column[Any]", row: Mapping[Any, Any]) -> bytes:
    keys = [row[key.name] for key in column.table.primary_key.columns]
    return json.dumps([column.table.name, column.name, *keys]).encode()
