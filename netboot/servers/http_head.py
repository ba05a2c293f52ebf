"""The head of an HTTP request, judged before anything acts on it. Pure.

Three outcomes, no fourth: a content request that is understood whole, another well-formed request (aiohttp's), or
none of HTTP. RFC 9112 §2.2 (CRLF only, no leading blank), §3 (request line), §3.2 (exactly one Host), §5 (fields, no
folding), §6.3 (a length and an encoding exclude each other).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

LONGEST_HEAD_BYTES: Final = 16 * 1024

# Possessive quantifiers: a hostile head costs one pass, whatever is in it.
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_LINES: Final = rb"((?:" + _TOKEN + rb":[^\r\n\x00]*+\r\n)*+)\r\n"
_CONTENT: Final = re.compile(rb"(GET|HEAD) (/(?:content|ostree)/[!-~\x80-\xff]*+) HTTP/1\.1\r\n")
_ALL_LINES: Final = re.compile(_LINES)
_ANY: Final = re.compile(_TOKEN + rb" [!-~\x80-\xff]++ HTTP/1\.([01])\r\n" + _LINES)
_TELLING: Final = re.compile(
    rb"^(host|connection|range|if-range|if-match|if-none-match|content-length|transfer-encoding|expect|user-agent):"
    rb"([^\r\n]*+)\r$",
    re.IGNORECASE | re.MULTILINE,
)
_BODY_FIELDS: Final = frozenset({"content-length", "transfer-encoding", "expect"})
_CONDITIONS: Final = frozenset({"range", "if-range", "if-match", "if-none-match"})
_REMEMBERED_LINES: Final = 512  # each 1 KiB at most
_LONGEST_REMEMBERED: Final = 1024


class Judgement(StrEnum):
    """What a buffer holds that is no content request."""

    INCOMPLETE = "incomplete"
    OTHER = "other"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class ContentRequest:
    """A GET or HEAD below `/content/` or `/ostree/` without a body.

    `path` is as the client wrote it. `fields` has those that change an answer, by their names in lower case.
    `length` counts the bytes of the head in the buffer.
    """

    method: str
    path: str
    fields: Mapping[str, str]
    length: int

    @property
    def is_get(self) -> bool:
        """The client wants the body too."""
        return self.method == "GET"

    @property
    def is_plain(self) -> bool:
        """The client wants the whole file, whatever it may have of it: each object of a pull."""
        return self.method == "GET" and _CONDITIONS.isdisjoint(self.fields)

    @property
    def is_last(self) -> bool:
        """The client wants the connection closed after the answer."""
        return "close" in self.fields.get("connection", "").lower()


def read_head(buffer: bytes) -> ContentRequest | Judgement:
    """Judge the request at the beginning of what a connection has sent."""
    end = buffer.find(b"\r\n\r\n", 0, LONGEST_HEAD_BYTES)
    if end < 0:
        return Judgement.MALFORMED if len(buffer) >= LONGEST_HEAD_BYTES else Judgement.INCOMPLETE
    found = _CONTENT.match(buffer)
    if found is None:
        return _judge_other(buffer)
    lines = buffer[found.end() : end + 4]
    fields = _remembered_fields(lines) if len(lines) <= _LONGEST_REMEMBERED else _content_fields(lines)
    if fields is None:
        return _judge_other(buffer)
    path = found[2].decode("utf-8", "surrogateescape")
    return ContentRequest(found[1].decode(), path, fields, end + 4)


def _judge_other(buffer: bytes) -> Judgement:
    found = _ANY.match(buffer)
    if found is None:
        return Judgement.MALFORMED
    fields = _fields(found[2])
    if found[1] == b"1" and "," in fields.get("host", ","):  # none, or several
        return Judgement.MALFORMED
    length = fields.get("content-length")
    if length is not None and ("transfer-encoding" in fields or not (length.isascii() and length.isdigit())):
        return Judgement.MALFORMED
    return Judgement.OTHER


def _content_fields(lines: bytes) -> Mapping[str, str] | None:
    """Read the fields of a content request up to its blank line; None where it is not one."""
    if not _ALL_LINES.fullmatch(lines):
        return None
    fields = _fields(lines)
    return None if "," in fields.get("host", ",") or not _BODY_FIELDS.isdisjoint(fields) else fields


# A pull says the same lines ten thousand times over.
_remembered_fields: Final = lru_cache(maxsize=_REMEMBERED_LINES)(_content_fields)


def _fields(lines: bytes) -> dict[str, str]:
    """Gather the fields that change an answer; repeated ones become one list (RFC 9110 §5.3)."""
    fields: dict[str, str] = {}
    for name, value in _TELLING.findall(lines):
        key, text = name.decode().lower(), value.strip(b" \t").decode("latin-1")
        fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields
