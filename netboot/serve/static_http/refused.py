"""Reasons and answers for requests that are refused before a handler, and the check of Host and body fields.

`static_files.record_refused` counts and records them. Any machine can send such requests, so the event log records the
first one of an address and then one count per minute (`events.event_limits`). Two are only counted: a TLS handshake,
which a client of a registry without TLS tries before each request, and a connection without a descriptor, for which
other machines are the reason.
RFC 9110 §10.1.1 (Expect), §15.5 (status codes); RFC 9112 §3.2 (Host), §6.1 and §6.3 (body length).
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Final

LONGEST_BODY_BYTES: Final = 1 << 20  # of any request on the boot LAN; a report is the only one that has a body
_MOST_BYTES: Final = 2**63  # what a Content-Length can state; more digits are an attack on parsers
_HOST: Final = re.compile(
    r"(?:\[[0-9A-Fa-f:.]{2,45}\]|(?:[A-Za-z0-9._~!$&'(*+);=-]|%[0-9A-Fa-f]{2}){1,255})(?::([0-9]{0,5}))?", re.ASCII
)


class RefusalReason(StrEnum):
    """Why a request was refused before it reached a handler; the same word in log, metric and documentation."""

    NOT_HTTP = "not-http"
    TLS = "tls"
    HTTP_VERSION = "http-version"
    HEAD_TOO_LARGE = "head-too-large"
    HEAD_TIMEOUT = "head-timeout"
    HOST = "host"
    BODY_LENGTH = "body-length"
    BODY_TOO_LARGE = "body-too-large"
    TRANSFER_CODING = "transfer-coding"
    EXPECT = "expect"
    CONNECTIONS = "connections"  # the address has too many
    DESCRIPTORS = "no-descriptor"  # all addresses together have too many: kept for others, or for one that has none


R = RefusalReason

# A status and one sentence; the connection is closed behind them. For CONNECTIONS and DESCRIPTORS it is closed at once.
ANSWERS: Final[Mapping[RefusalReason, tuple[HTTPStatus, str]]] = {
    R.NOT_HTTP: (HTTPStatus.BAD_REQUEST, "this is not an HTTP request"),
    R.TLS: (HTTPStatus.BAD_REQUEST, "this port has no TLS; use http://"),
    R.HTTP_VERSION: (HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP 1.0 and 1.1 are served"),
    R.HEAD_TOO_LARGE: (HTTPStatus.BAD_REQUEST, "the request line or the header is too long"),
    R.HEAD_TIMEOUT: (HTTPStatus.REQUEST_TIMEOUT, "the request did not end in time"),
    R.HOST: (HTTPStatus.BAD_REQUEST, "the request needs exactly one valid Host field"),
    R.BODY_LENGTH: (HTTPStatus.BAD_REQUEST, "Content-Length and Transfer-Encoding do not say how long it is"),
    R.BODY_TOO_LARGE: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request body may have {LONGEST_BODY_BYTES} bytes"),
    R.TRANSFER_CODING: (HTTPStatus.NOT_IMPLEMENTED, "chunked is the only transfer coding that is read"),
    R.EXPECT: (HTTPStatus.EXPECTATION_FAILED, "100-continue is the only expectation that can be met"),
}


def refusal_of(fields: Mapping[str, str], *, is_http_11: bool) -> RefusalReason | None:
    """Return why a request with these fields is refused; None if a handler may answer it.

    `fields` are by their names in lower case; those that came several times are one list, joined by commas.
    """
    host = fields.get("host")
    if (host is None and is_http_11) or (host is not None and not is_host(host)):
        return R.HOST
    length, coding = fields.get("content-length"), fields.get("transfer-encoding")
    if coding is not None:
        if length is not None or not is_http_11:
            return R.BODY_LENGTH
        codings = [each.strip().lower() for each in coding.split(",")]
        if codings[-1] != "chunked" or "chunked" in codings[:-1]:
            return R.BODY_LENGTH
        if len(codings) > 1:
            return R.TRANSFER_CODING
    if length is not None:
        if not (length.isascii() and length.isdigit()) or len(length) > 1000 or int(length) >= _MOST_BYTES:
            return R.BODY_LENGTH
        if int(length) > LONGEST_BODY_BYTES:
            return R.BODY_TOO_LARGE
    expected = fields.get("expect")
    if expected is not None and is_http_11 and expected.lower() != "100-continue":
        return R.EXPECT
    return None


def is_host(field: str) -> bool:
    """Return whether a Host field is one host with an optional port (RFC 9110 §7.2); a comma is in no host's name."""
    found = _HOST.fullmatch(field)
    return found is not None and int(found[1] or 0) <= 65535
