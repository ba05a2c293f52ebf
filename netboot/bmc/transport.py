"""Sends single HTTP requests to one BMC for sushy: within a deadline, to one origin, with a bounded answer.

sushy leaves the connection to requests, which follows redirects to any host with the session's token, reads answers of
any size, and has no limit for the whole of a request. So this adapter takes the place of requests' own: each request
has a connection of its own, and no byte is sent before the certificate was verified. sushy is needed to import this.
"""

import hashlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from netboot.bmc.bmc_fault import BmcFault, BmcFaultError
from netboot.model.bmc.bmc import BmcCertificate, BmcTrust

LARGEST_ANSWER_BYTES: Final = 4 << 20  # a BIOS attribute registry has 1 to 2 MiB
MOST_MEMORY_BYTES: Final = 16 << 20  # that all answers of a call need when they are read, at least
_VALUE_BYTES: Final = 64  # that a value of JSON needs at least; `{},` has 3 characters
_PIECE_BYTES: Final = 1 << 16
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CONNECT_S: Final = 10.0  # a host that is away is known by then; the rest of the time is for slow answers


class BmcTransport(BaseAdapter):
    """The connection to the BMC at `url`; `timeout_s` limits each wait, `deadline_s` all requests together.

    `abort` ends a request from another thread.
    """

    def __init__(self, url: str, certificate: BmcCertificate, *, timeout_s: float, deadline_s: float) -> None:
        super().__init__()
        parts = urlsplit(url)
        self._scheme = parts.scheme
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._is_tls else 80)
        self._certificate = certificate
        self._timeout_s = timeout_s
        self._ends = time.monotonic() + deadline_s
        self._memory_bytes = MOST_MEMORY_BYTES
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_aborted = False
        self.counts_changes = False  # the login is over: what follows and is not GET changes the machine
        self.before_change: Callable[[], None] = lambda: None  # what it raises prevents the request
        self.certificate_sha256 = ""
        self.is_outcome_unknown = False  # the answer to such a request did not arrive

    @property
    def _is_tls(self) -> bool:
        return self._scheme == "https"

    def abort(self) -> None:
        """End the request under way, and refuse others."""
        with self._lock:
            self._is_aborted = True
            if self._socket is not None:
                with suppress(OSError):  # it is closed, or was never connected
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def begin_end(self, limit_s: float) -> None:
        """Allow requests for `limit_s` more, also after `abort`: those that end the session."""
        with self._lock:
            self.counts_changes = False
            self._is_aborted = False
            self._ends = time.monotonic() + limit_s

    def close(self) -> None:
        """Do nothing: no connection outlives its request."""

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002  requests' signature
        timeout: float | tuple[float | None, float | None] | None = None,  # noqa: ARG002
        verify: bool | str = True,  # noqa: ARG002
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> requests.Response:
        """Send a request and return its whole answer; raise BmcFaultError."""
        self._refuse_other_origin(request.url or "")
        is_change = self.counts_changes and request.method != "GET"
        connection = http.client.HTTPConnection(self._host, self._port)
        connection.default_port = 443 if self._is_tls else 80  # not in the header `Host`
        try:
            connection.sock = opened = self._connect()
            if is_change:
                self.before_change()  # a connection may take a minute
            self.is_outcome_unknown |= is_change
            response = self._exchange(connection, request, opened)
        except TimeoutError as error:
            raise self._timed_out() from error
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error) from error
        finally:
            with self._lock:
                self._socket = None
            connection.close()
        self._refuse_answer(request.method or "", response)
        if is_change and not _may_be_done(response.status_code):
            self.is_outcome_unknown = False
        return response

    def _refuse_other_origin(self, url: str) -> None:
        """Refuse a URL of another server: a redirect, or a link in an answer; it would get the session's token."""
        parts = urlsplit(url)
        default = 443 if parts.scheme == "https" else 80
        if (parts.scheme, parts.hostname, parts.port or default) != (self._scheme, self._host, self._port):
            where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
            raise BmcFaultError(
                BmcFault.REDIRECTED,
                f"it refers to another server, {where[:120]}, which would get the password",
                "write the URL of the BMC itself as bmc.url",
            )

    def _connect(self) -> socket.socket:
        with self._lock:
            if self._is_aborted:
                raise TimeoutError
        plain = socket.create_connection((self._host, self._port), min(_CONNECT_S, self._left_s()))
        try:
            plain.settimeout(self._left_s())
            if not self._is_tls:
                self._hold(plain)
                return plain
            context = _context(self._certificate)
            secure = context.wrap_socket(plain, server_hostname=self._host, do_handshake_on_connect=False)
        except BaseException:
            plain.close()
            raise
        try:
            self._hold(secure)
            secure.do_handshake()
            self._verify_pin(secure)
        except BaseException:
            secure.close()
            raise
        return secure

    def _hold(self, opened: socket.socket) -> None:
        """Let `abort` end this connection."""
        with self._lock:
            if self._is_aborted:
                raise TimeoutError
            self._socket = opened

    def _verify_pin(self, secure: ssl.SSLSocket) -> None:
        self.certificate_sha256 = digest = hashlib.sha256(secure.getpeercert(binary_form=True) or b"").hexdigest()
        if self._certificate.trust is BmcTrust.PIN and digest != self._certificate.sha256:
            raise BmcFaultError(
                BmcFault.CERTIFICATE,
                f"its certificate has the digest {digest}, not the one of bmc.certificate",
                f"if its certificate was replaced, write certificate: sha256:{digest}",
            )

    def _exchange(
        self, connection: http.client.HTTPConnection, request: requests.PreparedRequest, opened: socket.socket
    ) -> requests.Response:
        body = request.body if isinstance(request.body, bytes | str) else None
        headers = dict(request.headers)
        connection.request(request.method or "GET", request.path_url, body=body, headers=headers)
        answer = connection.getresponse()
        content = bytearray()
        while piece := answer.read(_PIECE_BYTES):
            content += piece
            if len(content) > LARGEST_ANSWER_BYTES:
                raise _too_large(f"its answer to {request.path_url[:120]} is larger than {LARGEST_ANSWER_BYTES} bytes")
            self._memory_bytes -= len(piece) + _VALUE_BYTES * sum(map(piece.count, (b",", b"{", b"[")))
            if self._memory_bytes < 0:
                raise _too_large(f"its answers to one call need more than {MOST_MEMORY_BYTES >> 20} MiB of memory")
            if not answer.isclosed():
                opened.settimeout(self._left_s())
        if answer.length:  # http.client takes the end of a connection for the end of a body
            raise http.client.IncompleteRead(b"", answer.length)
        if self._is_aborted:  # and for the end of a head
            raise TimeoutError
        return _response(request, answer, bytes(content))

    def _refuse_answer(self, method: str, response: requests.Response) -> None:
        """Refuse what no Redfish service answers: a page, and a redirect of a request that changes something."""
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        is_page = kind in {"text/html", "application/xhtml+xml"} and response.status_code < 400
        if response.status_code in _REDIRECTS and method != "GET":
            is_page = True
        if is_page:
            raise BmcFaultError(
                BmcFault.NOT_REDFISH,
                f"it answers {method} with a page or a redirect instead of Redfish",
                "correct bmc.url, or enable Redfish in the BMC's settings",
            )

    def _digest(self) -> str:
        """Return the digest of the certificate that was refused; nothing is sent."""
        with suppress(OSError):
            plain = socket.create_connection((self._host, self._port), min(_CONNECT_S, self._left_s()))
            with plain, _context(BmcCertificate(BmcTrust.NONE)).wrap_socket(plain) as secure:
                return hashlib.sha256(secure.getpeercert(binary_form=True) or b"").hexdigest()
        return "DIGEST"

    def _left_s(self) -> float:
        left = self._ends - time.monotonic()
        if left <= 0 or self._is_aborted:
            raise TimeoutError
        return min(left, self._timeout_s)

    def _timed_out(self) -> BmcFaultError:
        return BmcFaultError(
            BmcFault.TIMEOUT,
            f"{self._host} did not answer in time (bmc.timeout_s: {self._timeout_s:g})",
            "look whether the BMC answers in a browser; a BMC that hangs is restarted in its own settings",
        )

    def _broken(self, error: OSError | http.client.HTTPException) -> BmcFaultError:
        """Return why a connection failed or ended."""
        if self._is_aborted:
            return self._timed_out()
        match error:
            case ssl.SSLCertVerificationError():
                return BmcFaultError(
                    BmcFault.CERTIFICATE,
                    f"the certificate of {self._host} is refused: {error.verify_message}",
                    f"set hosts.HOST.bmc.certificate to its CA, or, if the BMC shows it, sha256:{self._digest()}",
                )
            case ssl.SSLError():
                reason = f"{self._host} has no TLS, or one that is too old: {error.reason or 'the handshake failed'}"
                return BmcFaultError(BmcFault.CERTIFICATE, reason, "correct bmc.url, or update the BMC")
            case socket.gaierror():
                reason = f"the name {self._host} cannot be resolved"
                return BmcFaultError(BmcFault.UNREACHABLE, reason, "correct bmc.url")
            case http.client.HTTPException():
                reason = f"{self._host} does not answer by HTTP"
                if isinstance(error, http.client.IncompleteRead | http.client.RemoteDisconnected):
                    reason = f"{self._host} ended the connection within its answer"
                return BmcFaultError(BmcFault.FAILED, reason, "try again; if it persists, restart the BMC")
            case _:
                reason = f"{self._host} port {self._port}: {error.strerror or error}"
                return BmcFaultError(
                    BmcFault.UNREACHABLE, reason, "correct bmc.url, or look for the BMC's cable and address"
                )


def _too_large(reason: str) -> BmcFaultError:
    return BmcFaultError(BmcFault.TOO_LARGE, reason, "look for a newer firmware of the BMC")


def _may_be_done(status: int) -> bool:
    """Return whether a BMC that answers with this error may have done what was requested.

    It may fail afterwards, or its proxy may not wait for it. 501 states that it was not done (RFC 9110 §15.6.2).
    """
    return status >= 500 and status != http.HTTPStatus.NOT_IMPLEMENTED


def _context(certificate: BmcCertificate) -> ssl.SSLContext:
    match certificate.trust:
        case BmcTrust.SYSTEM | BmcTrust.CA_FILE:
            try:
                return ssl.create_default_context(cafile=certificate.ca_file)
            except OSError as error:
                why = "no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
                reason = f"cannot use the CA {certificate.ca_file}: {why}"
                raise BmcFaultError(BmcFault.CERTIFICATE, reason, "correct bmc.certificate") from error
        case BmcTrust.PIN | BmcTrust.NONE:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            # old BMCs have keys and hashes that OpenSSL's default level refuses; nothing is verified by them here
            context.set_ciphers("DEFAULT:@SECLEVEL=1")
            return context


def _response(request: requests.PreparedRequest, answer: http.client.HTTPResponse, content: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status
    response.reason = answer.reason
    response.headers = CaseInsensitiveDict[Any](answer.getheaders())
    response.url = request.url or ""
    response.request = request
    response.encoding = "utf-8"
    response._content = content
    response._content_consumed = True
    return response
