"""Parses and classifies the head of an HTTP request before it is answered. Pure.

A complete head has one of three outcomes: a request below a static tree, which the connection answers; another
well-formed request, which aiohttp answers; or a refusal. A head is refused as soon as no further bytes can make it
valid. `static_http.refused` checks the fields that describe host and body.
RFC 9112 §2.2 (CRLF only, no leading blank), §3 (request line), §5 (fields, no folding).
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from netboot.model.urls import CONTENT_PREFIXES, STATIC_TREES
from netboot.serve.static_http.refused import RefusalReason, is_host, refusal_of

LONGEST_HEAD_BYTES: Final = 16 * 1024
_LONGEST_LINE_BYTES: Final = 8190  # of a request for aiohttp, whose own limits are wider, so that ours are met
_MOST_FIELDS: Final = 100

# Possessive quantifiers for characters: any hostile head costs two passes at most. None for a group: Python before
# 3.11.5 then misses matches (gh-106052), and so did Debian 12's before 3.11.2-6+deb12u9.
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_LINES: Final = rb"((?:" + _TOKEN + rb":[^\r\n\x00]*+\r\n)*)\r\n"
_STATIC: Final = re.compile(rb"(GET|HEAD) (" + STATIC_TREES.encode() + rb"[!-~\x80-\xff]*+) HTTP/1\.1\r\n")
_STATIC_PATH: Final = re.compile(STATIC_TREES)
_ALL_LINES: Final = re.compile(_LINES)
_ANY: Final = re.compile(rb"(" + _TOKEN + rb") ([!-~]++) HTTP/1\.([01])\r\n" + _LINES)
_TLS_HANDSHAKE: Final = b"\x16\x03"  # RFC 8446 §5.1: a record of type handshake, of whichever version
_OTHER_VERSION: Final = re.compile(_TOKEN + rb" [!-~]++ HTTP/(?!1\.[01]\r)[0-9](?:\.[0-9])?\r\n")
# A head that has not ended: whole lines, then the beginning of one. Other bytes can no longer become HTTP.
_BEGUN_LINE: Final = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{0,32}+(?: (?:[!-~\x80-\xff]++(?: [HTP/0-9.]{0,8}+\r?+)?)?)?"
)
_BEGUN_FIELDS: Final = re.compile(
    _TOKEN + rb" [!-~\x80-\xff]++ HTTP/1\.[01]\r\n(?:" + _TOKEN + rb":[^\r\n\x00]*+\r\n)*"
    rb"(?:" + _TOKEN + rb"(?::[^\r\n\x00]*+)?)?\r?+"
)
_HEADERS_THAT_MATTER: Final = re.compile(
    rb"^(host|connection|range|if-range|if-match|if-none-match|content-length|transfer-encoding|expect|user-agent):"
    rb"([^\r\n]*+)\r$",
    re.IGNORECASE | re.MULTILINE,
)
_BODY_FIELDS: Final = frozenset({"content-length", "transfer-encoding", "expect"})
_CONDITIONS: Final = frozenset({"range", "if-range", "if-match", "if-none-match"})
_REMEMBERED_LINES: Final = 512  # each 1 KiB at most
_LONGEST_REMEMBERED: Final = 1024


class Judgement(StrEnum):
    """The content of a buffer that is not a request below a static tree."""

    INCOMPLETE = "incomplete"
    DOCUMENT = "document"  # aiohttp answers it


class StaticRequest(NamedTuple):
    """A request below a static tree (`model.urls.STATIC_TREES`). A tuple: quickly made for each object of a pull.

    `path` is as the client wrote it. `fields` has those that change an answer, by their names in lower case.
    `length` counts the bytes of the head in the buffer. `must_close`: HTTP 1.0, or a body follows, which is not read.
    """

    method: str
    path: str
    fields: Mapping[str, str]
    length: int
    must_close: bool = False

    @property
    def is_get(self) -> bool:
        """The client requests the body too."""
        return self.method == "GET"

    @property
    def is_plain(self) -> bool:
        """The client requests the whole file without a condition, as for each object of a pull."""
        return self.method == "GET" and _CONDITIONS.isdisjoint(self.fields)

    @property
    def is_content(self) -> bool:
        """The file is of a boot medium or a release, not a boot file."""
        return self.path.startswith(CONTENT_PREFIXES)

    @property
    def is_last(self) -> bool:
        """The connection is closed after the answer."""
        return self.must_close or "close" in self.fields.get("connection", "").lower()


def read_head(buffer: bytes) -> StaticRequest | Judgement | RefusalReason:
    """Classify the request at the beginning of a connection's bytes."""
    end = buffer.find(b"\r\n\r\n", 0, LONGEST_HEAD_BYTES)
    if end < 0:
        return _judge_incomplete(buffer)
    found = _STATIC.match(buffer)
    if found is None:
        return _judge_any(buffer, end)
    lines = buffer[found.end() : end + 4]
    fields = _remembered_fields(lines) if len(lines) <= _LONGEST_REMEMBERED else _static_fields(lines)
    if fields is None:
        return _judge_any(buffer, end)
    path = found[2].decode("utf-8", "surrogateescape")
    return StaticRequest(found[1].decode(), path, fields, end + 4)


def _judge_incomplete(buffer: bytes) -> Judgement | RefusalReason:
    if not (_BEGUN_LINE.fullmatch(buffer) or _BEGUN_FIELDS.fullmatch(buffer)):
        return _not_served(buffer)
    return RefusalReason.HEAD_TOO_LARGE if len(buffer) >= LONGEST_HEAD_BYTES else Judgement.INCOMPLETE


def _judge_any(buffer: bytes, end: int) -> StaticRequest | Judgement | RefusalReason:
    """Classify a complete head in any valid form: every method, a target in absolute form, HTTP 1.0, with a body."""
    found = _ANY.match(buffer)
    if found is None:
        return _not_served(buffer)
    lines = buffer[:end].split(b"\r\n")
    if len(lines) > _MOST_FIELDS + 1 or max(map(len, lines)) > _LONGEST_LINE_BYTES:
        return RefusalReason.HEAD_TOO_LARGE
    fields, is_http_11 = _fields(found[4]), found[3] == b"1"
    refused = refusal_of(fields, is_http_11=is_http_11)
    if refused is not None:
        return refused
    path = _path_of_target(found[2].decode())
    if not _STATIC_PATH.match(path):
        return Judgement.DOCUMENT
    has_body = "transfer-encoding" in fields or int(fields.get("content-length", 0)) > 0
    return StaticRequest(found[1].decode(), path, fields, end + 4, must_close=has_body or not is_http_11)


def _not_served(buffer: bytes) -> RefusalReason:
    if buffer.startswith(_TLS_HANDSHAKE):
        return RefusalReason.TLS
    return RefusalReason.HTTP_VERSION if _OTHER_VERSION.match(buffer) else RefusalReason.NOT_HTTP


def _path_of_target(target: str) -> str:
    """Return the path of a request target; proxies' clients write the absolute form (RFC 9112 §3.2.2)."""
    if target.startswith("/"):
        return target
    _, separator, rest = target.partition("://")
    return "/" + rest.partition("/")[2] if separator else target


def _static_fields(lines: bytes) -> Mapping[str, str] | None:
    """Read the fields of a request without a body up to its blank line; None if it is not one."""
    if not _ALL_LINES.fullmatch(lines):
        return None
    fields = _fields(lines)
    return fields if is_host(fields.get("host", "")) and _BODY_FIELDS.isdisjoint(fields) else None


# A pull repeats the same lines ten thousand times.
_remembered_fields: Final = lru_cache(maxsize=_REMEMBERED_LINES)(_static_fields)


def _fields(lines: bytes) -> dict[str, str]:
    """Gather the fields that change an answer; repeated ones become one list (RFC 9110 §5.3)."""
    fields: dict[str, str] = {}
    for name, value in _HEADERS_THAT_MATTER.findall(lines):
        key, text = name.decode().lower(), value.strip(b" \t").decode("latin-1")
        fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields
