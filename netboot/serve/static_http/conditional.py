"""Makes the HTTP response for a file: status, header fields and the range of bytes. Pure; /bootfiles uses it too.

RFC 9110 §8.8 (validators), §13 (preconditions, in the order of §13.2.2), §14 (ranges), §15.5.6 and §15.5.17.
Never chunks, never compresses, always sends Content-Length: GRUB and firmware cannot read a body without it. GRUB also
requires the field's name in exactly this case.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from netboot.content.serving.served_file import ServedFile

SERVER: Final = "netboot"

_SINGLE_RANGE: Final = re.compile(r"bytes=[ \t]*(\d*)-(\d*)[ \t]*", re.IGNORECASE | re.ASCII)
_LONGEST_POSITION: Final = 1000  # digits, which are beyond any file; int() refuses more than 4,300


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """The response to one request. `length` bytes from `start` are the body of a GET; a HEAD sends none.

    `text` is the body of a refusal or of a document, and empty for everything that comes from a file.
    """

    status: HTTPStatus
    headers: tuple[tuple[str, str], ...]
    start: int = 0
    length: int = 0
    text: bytes = b""

    def piece_of(self, body: bytes) -> bytes:
        """Cut the answer's bytes out of a whole file; a refusal sends its text."""
        return self.text or (body if self.length == len(body) else body[self.start : self.start + self.length])


def answer_for(file: ServedFile, method: str, fields: Mapping[str, str]) -> FileAnswer:
    """Return the response to a GET or HEAD of this file; `fields` are the request's by their names in lower case."""
    about = (
        ("Content-Type", file.content_type),
        ("ETag", file.etag),
        ("Cache-Control", file.cache_control),
        ("Accept-Ranges", "bytes"),
        *file.fields,
    )
    wanted = fields.get("if-match")
    if wanted is not None and not _names(wanted, file.etag, weakly=False):
        return refusal(HTTPStatus.PRECONDITION_FAILED, "the file is another one now; fetch it from its start")
    known = fields.get("if-none-match")
    if known is not None and _names(known, file.etag, weakly=True):
        return FileAnswer(HTTPStatus.NOT_MODIFIED, about[1:3])
    total = file.size_bytes
    if_range = fields.get("if-range")  # RFC 9110 §13.1.5: strong comparison; a date never matches, as we send none
    has_range = method == "GET" and (if_range is None or if_range.strip() == file.etag)
    span = byte_range(fields.get("range", ""), total) if has_range else None
    if span is None:
        return FileAnswer(HTTPStatus.OK, (*about, ("Content-Length", str(total))), 0, total)
    if not span:
        unsatisfied = (("Content-Range", f"bytes */{total}"), ("ETag", file.etag))
        return refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"the file has {total} bytes", *unsatisfied)
    place = (("Content-Range", f"bytes {span.start}-{span.stop - 1}/{total}"), ("Content-Length", str(len(span))))
    return FileAnswer(HTTPStatus.PARTIAL_CONTENT, (*about, *place), span.start, len(span))


def refusal(status: HTTPStatus, why: str, *headers: tuple[str, str]) -> FileAnswer:
    """Answer with a status and one line of text, always with Content-Length."""
    text = f"{status.value} {status.phrase}: {why}\n".encode()
    about = (("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text))))
    return FileAnswer(status, (*about, *headers), text=text)


def document(status: HTTPStatus, text: str, *headers: tuple[str, str]) -> FileAnswer:
    """Answer with a text that is made for one request and that no cache keeps."""
    body = text.encode()
    about = (("Cache-Control", "no-store"), ("Content-Type", "text/plain; charset=utf-8"))
    return FileAnswer(status, (*about, ("Content-Length", str(len(body))), *headers), text=body)


NOT_FOUND: Final = refusal(HTTPStatus.NOT_FOUND, "no such file")
METHOD_NOT_ALLOWED: Final = refusal(HTTPStatus.METHOD_NOT_ALLOWED, "files are only given", ("Allow", "GET, HEAD"))
# libostree and skopeo fail cleanly on a 503, curl in the installer tries again; a 404 would state that there is none.
WITHHELD_RETRY: Final = ("Retry-After", "60")
WITHHELD: Final = refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "the file is damaged and is repaired first; retry", WITHHELD_RETRY
)
NOT_NOW: Final = document(HTTPStatus.SERVICE_UNAVAILABLE, "not now\n", ("Retry-After", "5"))


def byte_range(field: str, total_bytes: int) -> range | None:
    """Read a Range field against a file's length.

    None if it is ignored and the whole file is sent: several ranges, another unit, an invalid range.
    An empty range if it contains no byte of the file (416).
    """
    found = _SINGLE_RANGE.fullmatch(field)
    if found is None:
        return None
    first, last = (int(digits.lstrip("0")[:_LONGEST_POSITION] or 0) if digits else None for digits in found.groups())
    if first is None:
        if last is None:
            return None
        return range(max(0, total_bytes - last), total_bytes)  # the last so many
    if last is not None and last < first:
        return None
    stop = total_bytes if last is None else min(last + 1, total_bytes)
    return range(first, stop) if first < stop else range(0)


def _names(field: str, etag: str, *, weakly: bool) -> bool:
    """Return whether a list of entity tags names this one; `*` names any."""
    if field.strip() == "*":
        return True
    tags = (tag.strip() for tag in field.split(","))  # our tags hold no comma
    return any((tag.removeprefix("W/") if weakly else tag) == etag for tag in tags)


def head_of(answer: FileAnswer, second: int, *, is_last: bool) -> bytes:
    """Write the head of an answer for this second of the epoch; the body follows in the same write."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in answer.headers])
    ending = "Connection: close\r\n" if is_last else ""
    status = f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
    return f"{status}{_date_and_server(second)}{fields}{ending}\r\n".encode("latin-1")


def head_of_whole(file: ServedFile, second: int, *, is_last: bool) -> bytes:
    """Write the head of a whole file, as `head_of(answer_for(…))`, but faster: used for each object of a pull."""
    ending = "Connection: close\r\n" if is_last else ""
    if file.fields:
        ending = "".join([f"{name}: {value}\r\n" for name, value in file.fields]) + ending
    return (
        f"HTTP/1.1 200 OK\r\n{_date_and_server(second)}Content-Type: {file.content_type}\r\nETag: {file.etag}\r\n"
        f"Cache-Control: {file.cache_control}\r\nAccept-Ranges: bytes\r\nContent-Length: {file.size_bytes}\r\n"
        f"{ending}\r\n"
    ).encode("latin-1")


@lru_cache(maxsize=1)
def _date_and_server(second: int) -> str:
    return f"Date: {formatdate(second, usegmt=True)}\r\nServer: {SERVER}\r\n"
