"""Signs messages as Standard Webhooks 1.0.0 has it, `v1`: HMAC-SHA256 of ID.TIMESTAMP.BODY, in base64.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from netboot.errors import HookSecretError
from netboot.model.access import secret_file
from netboot.operate.hooks.hook_message import HookMessage

_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = range(24, 65)
_LARGEST_FILE: Final = 4096  # bytes
_CURE: Final = "write a line with whsec_ and 24 to 64 random bytes in base64: echo whsec_$(openssl rand -base64 32)"


def read_keys(path: Path) -> Sequence[bytes]:
    """Read the keys of a file of secrets, one a line: during a change of the secret the new and the old one.

    Raises HookSecretError, which does not show the content.
    """
    try:
        with path.open("rb") as file:
            lines = file.read(_LARGEST_FILE).decode("ascii", "replace").split()
    except OSError as error:
        raise HookSecretError(
            f"cannot read the secret {path}: {error.strerror}; {secret_file.cure_of(path) or _CURE}"
        ) from error
    if not lines:
        raise HookSecretError(f"the secret {path} is empty; {_CURE}")
    return [_key(line, path) for line in lines]


def signed_headers(message: HookMessage, keys: Sequence[bytes], at: datetime) -> Mapping[str, str]:
    """Return the headers of one attempt: the id and the time, and a signature by each key."""
    timestamp = str(int(at.timestamp()))
    headers = {"webhook-id": message.id, "webhook-timestamp": timestamp}
    if keys:
        signed = f"{message.id}.{timestamp}.{message.body}".encode()
        signatures = (base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)
        headers["webhook-signature"] = " ".join(f"v1,{signature}" for signature in signatures)
    return headers


def _key(line: str, path: Path) -> bytes:
    try:
        key = base64.b64decode(line.removeprefix(_PREFIX), validate=True) if line.startswith(_PREFIX) else b""
    except binascii.Error:
        key = b""
    if len(key) not in _KEY_BYTES:
        raise HookSecretError(f"the secret {path} has a line that is no secret of Standard Webhooks; {_CURE}")
    return key
