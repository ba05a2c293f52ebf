"""Searches the outputs of an appliance for secrets, in each encoding in which one may appear there.

`Secret` names one; `secrets_of_store` and `secrets_of_role_file` collect those of a run; `search` reports where they
are. No message shows a secret.
"""

import base64
import gzip
import io
import json
import re
import sqlite3
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from sqlalchemy import Column

from netboot.store import tables
from netboot.store.sealing.sealing import Sealing, StoreKey

SHORTEST: Final = 8  # characters; a shorter text is found by chance
DEEPEST: Final = 6  # archives in archives
_PACKED: Final = re.compile(rb"H4sI[A-Za-z0-9+/_-]{16,}={0,2}")  # base64 of what gzip wrote
_ENCODED: Final = re.compile(rb"[A-Za-z0-9+/]{40,}={0,2}")
SEALED_HASH: Final = "password_hash of users"
_HASH_COLUMNS: Final = {"api_tokens": "sha256", "sessions": "sha256"}
_IN_A_ROLE_FILE: Final = {
    "bootstrap token": re.compile(rb"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"),
    "certificate key": re.compile(rb"(?i)certificate-?key:?[ =]+([0-9a-f]{64})"),
    "line of a private key": re.compile(rb"PRIVATE KEY-----\s+([A-Za-z0-9+/=]{40,})"),
    "login to a registry": re.compile(rb'"auth"\s*:\s*"([^"]{8,})"'),
}


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that no output may have; `name` is what it is and where it belongs."""

    name: str
    text: str = field(repr=False)

    def __post_init__(self) -> None:
        assert len(self.text) >= SHORTEST, f"{self.name} is too short to be searched"

    def forms(self) -> Mapping[str, bytes]:
        """Return what is searched for, by the name of the encoding."""
        plain = self.text.encode()
        found = {
            "plain": plain,
            "hex": plain.hex().encode(),
            "HEX": plain.hex().upper().encode(),
            "URL-encoded": quote(self.text, safe="").encode(),
            "URL-encoded path": quote(self.text).encode(),
            "JSON-escaped": json.dumps(self.text)[1:-1].encode(),
            "JSON in UTF-8": json.dumps(self.text, ensure_ascii=False)[1:-1].encode(),
            "reversed": plain[::-1],
        }
        for offset in range(3):  # base64 of a text in which the secret begins anywhere
            found[f"base64+{offset}"] = _base64_inside(plain, offset)
            found[f"base64url+{offset}"] = _base64_inside(plain, offset).translate(bytes.maketrans(b"+/", b"-_"))
        return {form: text for form, text in found.items() if form == "plain" or text != plain}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A secret in an output."""

    secret: str
    place: str
    form: str


def search(outputs: Mapping[str, bytes], secrets: Iterable[Secret]) -> list[Finding]:
    """List the secrets in each output, also in members of archives and in what is packed or encoded in it.

    Each is listed once for an output, with its first place and form there.
    """
    forms = [(secret.name, form, text) for secret in secrets for form, text in secret.forms().items()]
    found: dict[tuple[str, str], Finding] = {}
    for output, data in outputs.items():
        for place, content in members(output, data):
            for name, form, text in forms:
                if text in content:
                    found.setdefault((output, name), Finding(name, place, form))
    return sorted(found.values())


def members(place: str, data: bytes, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield an output, and all that is encoded in it; of a packed one or an archive what it contains, and names."""
    if data.startswith(b"\x1f\x8b"):
        yield from members(f"{place} > unpacked", _unpacked(data), depth)
        return
    is_archive = data[257:262] == b"ustar"
    if not is_archive:
        yield place, data
    if depth < DEEPEST:
        for name, content in _archived(data) if is_archive else _encoded(data):
            yield from members(f"{place} > {name}", content, depth + 1)


def files_below(directory: Path) -> dict[str, bytes]:
    """Read every file of a directory as an output."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(directory.parent)): path.read_bytes() for path in files}


def secrets_of_store(database: Path) -> list[Secret]:
    """Collect the tokens that an SQLite store has now, opened with the key beside it; each boot replaces them."""
    found = []
    for table in (tables.installs, tables.inspections):
        for tokens in _opened(database, table.c.tokens):
            named = {kind if kind == "token" else f"{kind}_token": token for kind, token in json.loads(tokens).items()}
            found += [Secret(f"{name} of {table.name}", token) for name, token in named.items() if token]
    return found


def secrets_of_accounts(database: Path) -> list[Secret]:
    """Collect the hashes that an SQLite store has of passwords, which are sealed, of API tokens and of logins."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        found = [
            Secret(f"{column} of {table}", value)
            for table, column in _HASH_COLUMNS.items()
            for (value,) in connection.execute(f"SELECT {column} FROM {table}")
        ]
    return [*found, *(Secret(SEALED_HASH, each) for each in _opened(database, tables.users.c.password_hash))]


def database_files(database: Path) -> dict[str, bytes]:
    """Read the files of a SQLite store as a copy of them has it."""
    return {path.name: path.read_bytes() for path in sorted(database.parent.glob(f"{database.name}*"))}


def _opened(database: Path, column: Column[Any]) -> list[str]:
    """Open the values of a sealed column with the key beside the store."""
    sealing = Sealing(StoreKey(database.with_name("store.key").read_bytes()))
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        query = f"SELECT * FROM {column.table.name} WHERE {column.name} IS NOT NULL"
        rows = [dict(row) for row in connection.execute(query)]
    opened = [sealing.open(row[column.name], column, row) for row in rows]
    assert sealing.problem() is None, f"{column}: {sealing.problem()}"
    return [text for text in opened if text is not None]


def secrets_of_role_file(name: str, content: bytes) -> list[Secret]:
    """Collect what an Ignition file of a role has of tokens, keys, logins and hashes of passwords."""
    config = json.loads(content)
    found = {
        Secret(f"password hash in {name}", user["passwordHash"])
        for user in config.get("passwd", {}).get("users", [])
        if user.get("passwordHash")
    }
    for text in [content, *contents_of(config)]:
        for kind, pattern in _IN_A_ROLE_FILE.items():
            for match in pattern.finditer(text):
                found.add(Secret(f"{kind} in {name}", match[match.lastindex or 0].decode()))
    return sorted(found, key=lambda secret: (secret.name, secret.text))


def contents_of(config: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the contents of files and units of an Ignition file."""
    for file in config.get("storage", {}).get("files", []):
        for resource in (file.get("contents", {}), *file.get("append", [])):
            if (source := resource.get("source") or "").startswith("data:"):
                yield _decoded(source)
    for unit in config.get("systemd", {}).get("units", []):
        for each in (unit, *unit.get("dropins", [])):
            yield (each.get("contents") or "").encode()


def _decoded(source: str) -> bytes:
    head, _, data = source.partition(",")
    content = base64.b64decode(data) if head.endswith(";base64") else unquote_to_bytes(data)
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def _base64_inside(plain: bytes, offset: int) -> bytes:
    """Return the digits of base64 that do not depend on what is before and behind the text."""
    encoded = base64.b64encode(bytes(offset) + plain)
    first = -(-offset * 8 // 6)  # digits that the bytes before it share
    whole = (offset + len(plain)) // 3 * 4
    return encoded[first:whole]


def _archived(data: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        yield "names", "\n".join(archive.getnames()).encode()
        for member in archive:
            if (content := archive.extractfile(member)) is not None:
                yield member.name, content.read()


def _encoded(data: bytes) -> Iterator[tuple[str, bytes]]:
    for match in _PACKED.finditer(data):
        yield f"packed at {match.start()}", _unpacked(_of_base64(match[0].translate(bytes.maketrans(b"-_", b"+/"))))
    if (decoded := unquote_to_bytes(data)) != data:
        yield "URL-decoded", decoded
    decoded = b"\n".join(_of_base64(match[0]) for match in _ENCODED.finditer(data))
    if decoded:
        yield "decoded", decoded


def _of_base64(digits: bytes) -> bytes:
    digits = digits.rstrip(b"=")
    return base64.b64decode(digits[: len(digits) - (len(digits) % 4 == 1)] + b"==")


def _unpacked(data: bytes) -> bytes:
    """Return what gzip packed, also of one that is cut."""
    content = b""
    while data.startswith(b"\x1f\x8b"):
        stream = zlib.decompressobj(wbits=31)
        try:
            content += stream.decompress(data)
        except zlib.error:
            break
        data = stream.unused_data
    return content
