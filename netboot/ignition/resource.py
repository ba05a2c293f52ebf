"""Verifies one resource: its URL, compression and hash, and the content of a `data:` URL as Ignition decodes it.

Sources: coreos/ignition v2.16.2, `types/{resource,url,verification}.go`, `internal/resource/url.go`; RFC 2397 as
vincent-petithory/dataurl reads it. The hash is over the decompressed bytes. Contents are never shown.
"""

import base64
import binascii
import hashlib
import re
import zlib
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from netboot.ignition.problem import Problems
from netboot.ignition.schema import Json, entries
from netboot.yamlfile.faults import shown

UNPACKED_LIMIT_BYTES: Final = 256 * 1024 * 1024  # of all contents of one file; a node holds them in memory

_NEWEST_MINOR: Final = 6
_HASH_BITS: Final = {"sha512": 512, "sha256": 256}
_SCHEMES: Final = {"data": 0, "http": 0, "https": 0, "tftp": 0, "s3": 0, "gs": 2, "arn": 4}  # since 3.N
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MIME: Final = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]"
_DATA_HEADER: Final = re.compile(
    rf"data:(?:(?:(?:text|image|audio|video|application|message|multipart){_MIME}*|[xX]-{_MIME}*)/{_MIME}*)?"
    rf'(?:;{_MIME}+=(?:{_MIME}+|"(?:[^"\\\x80-\U0010ffff]|\\[\x00-\x7f])*"))*(?P<base64>;base64)?,'
)
_NOT_IN_DATA: Final = re.compile(r'[^\x21-\x7e]|[ <>#"{}|\\^\[\]`]')
_ENCODE_CURE: Final = "encode the content again, or remove the file"


@dataclass(slots=True)
class Resources:
    """Verifies the resources of one file of specification 3.`minor`."""

    minor: int
    problems: Problems
    limit_bytes: int = field(default_factory=lambda: UNPACKED_LIMIT_BYTES)  # of all contents together
    _unpacked_bytes: int = 0

    def verify(self, resource: Json, pointer: str, *, is_required: bool = False) -> bytes | None:
        """Add each problem of a resource; return the content of a valid `data:` URL."""
        before = len(self.problems)
        source = resource.get("source")
        self._verify_headers(resource, pointer)
        compression = resource.get("compression", "")
        if compression not in ("", "gzip"):
            what = f"{shown(compression)} is not a compression that Ignition supports"
            self.problems.add(f"{pointer}/compression", what, cure='write "gzip" or ""')
        digest = self._digest(resource, pointer)
        if not source:
            if is_required:
                self.problems.add(f"{pointer}/source", "is missing", cure="write a URL or remove the entry")
            return None
        content = self._content(source, f"{pointer}/source")
        if content is None or len(self.problems) > before:
            return None
        if compression == "gzip":
            content = self._unpack(content, pointer)
        if content is not None and digest is not None and hashlib.new(digest[0], content).digest() != digest[1]:
            what = "is not the hash of the content" + (" after decompression" if compression else "")
            self.problems.add(f"{pointer}/verification/hash", what, cure="write the file again where it was made")
            return None
        return content

    def _verify_headers(self, resource: Json, pointer: str) -> None:
        is_http = resource.get("source", "").lower().startswith(("http:", "https:"))
        if resource.get("httpHeaders") and not is_http:
            self.problems.add(f"{pointer}/httpHeaders", "are for http and https alone", cure="remove them")
        for header, place in entries(resource, "httpHeaders", pointer):
            if not header.get("name"):
                self.problems.add(f"{place}/name", "is empty", cure="write it")
            if header.get("value") == "":
                self.problems.add(f"{place}/value", "is empty", cure="write it")

    def _digest(self, resource: Json, pointer: str) -> tuple[str, bytes] | None:
        given = resource.get("verification", {}).get("hash")
        if given is None:
            return None
        place = f"{pointer}/verification/hash"
        name, dash, digits = given.partition("-")
        known = _HASH_BITS if self.minor else {"sha512": 512}
        if resource.get("source") is None:
            self.problems.add(place, "is given without a source", cure="remove it")
        elif not dash or name not in known:
            names = " or ".join(f"{name}-HEX" for name in known)
            self.problems.add(place, "names no hash that Ignition knows", cure=f"write {names}")
        elif len(digits) != known[name] // 4 or not re.fullmatch(r"[0-9A-Fa-f]*", digits):
            what = f"is not a {name}: {len(digits)} characters follow"
            self.problems.add(place, what, cure=f"write {known[name] // 4} hexadecimal digits")
        else:
            return name, bytes.fromhex(digits)
        return None

    def _content(self, source: str, pointer: str) -> bytes | None:
        match = _SCHEME.match(source)
        if match is None or _SCHEMES.get(match[1].lower(), 9) > self.minor:
            scheme = shown(match[1]) if match else "no scheme"
            known = ", ".join(name for name, since in _SCHEMES.items() if since <= self.minor)
            self.problems.add(pointer, f"is a URL with {scheme}", cure=f"use one of {known}")
        elif _CONTROL.search(source):
            self.problems.add(pointer, "has a line break or control character", cure=_ENCODE_CURE)
        elif match[1].lower() == "data":
            return self._data(source, pointer)
        elif fault := _fault_of_url(source):
            self.problems.add(pointer, f"is a URL that {fault}", cure="correct it")
        return None

    def _data(self, source: str, pointer: str) -> bytes | None:
        header = _DATA_HEADER.match(source)
        if header is None:
            cure = "write data:,TEXT with percent escapes, or data:;base64,DATA"
            self.problems.add(pointer, "is a data URL that cannot be read before its data", cure=cure)
            return None
        data = source[header.end() :]
        if header["base64"]:
            try:
                return base64.b64decode(data, validate=True)
            except (binascii.Error, ValueError):
                self.problems.add(pointer, "is not base64, or is cut", cure=_ENCODE_CURE)
                return None
        for pattern, what in ((_NOT_IN_DATA, "a character that must be escaped"), (_BAD_ESCAPE, "a faulty % escape")):
            fault = pattern.search(data)
            if fault:
                at = header.end() + fault.start() + 1
                self.problems.add(pointer, f"is a data URL with {what} at character {at}", cure=_ENCODE_CURE)
                return None
        return unquote_to_bytes(data)

    def _unpack(self, packed: bytes, pointer: str) -> bytes | None:
        """Decompress gzip of one or several members (RFC 1952); no bytes may follow the last one."""
        content = bytearray()
        while True:
            if not packed.startswith(b"\x1f\x8b"):
                self.problems.add(f"{pointer}/source", "is not gzip, although compression states it", cure=_ENCODE_CURE)
                return None
            member = zlib.decompressobj(wbits=31)
            try:
                left = self.limit_bytes - self._unpacked_bytes - len(content)
                content += member.decompress(packed, left + 1)
            except zlib.error:
                self.problems.add(f"{pointer}/source", "is gzip that is damaged", cure=_ENCODE_CURE)
                return None
            if len(content) + self._unpacked_bytes > self.limit_bytes:
                what = f"brings the file's contents to more than {self.limit_bytes >> 20} MiB"
                self.problems.add(f"{pointer}/source", what, cure="fetch large files after the first boot")
                return None
            if not member.eof:
                self.problems.add(f"{pointer}/source", "is gzip that is cut", cure=_ENCODE_CURE)
                return None
            packed = member.unused_data
            if not packed:
                self._unpacked_bytes += len(content)
                return bytes(content)


def _fault_of_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "cannot be read"
    if parts.scheme == "arn":
        return None if re.fullmatch(r"arn:[^:]*:s3:[^:]*:[^:]*:[^/]+/.+", url) else "names no S3 object"
    if not parts.hostname:
        return "has no host"
    if " " in parts.netloc or _BAD_ESCAPE.search(url.partition("?")[0]):
        return "has a blank or a faulty % escape"
    return None


def content_of(resource: Json) -> bytes | None:
    """Return the content that a resource of a valid file holds in a `data:` URL; None if it has none or is fetched."""
    return Resources(_NEWEST_MINOR, Problems()).verify(resource, "")
