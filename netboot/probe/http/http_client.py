"""Requests by HTTP as one client sends and repeats them; what it prints when it fails.

The body is digested while it arrives; memory is constant. Packet loss does not concern TCP here: the kernel repeats.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final, Self
from urllib.parse import SplitResult, urljoin, urlsplit

from netboot.model.hidden import without_users
from netboot.model.install.event import Step
from netboot.model.urls import is_of_one_boot, without_tokens_in_paths
from netboot.model.words import printable_line
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.file_reader import FileReader, LocalReader
from netboot.probe.http.agents import HttpAgent
from netboot.probe.http.http_connection import ConnectionFailedError, HttpConnection
from netboot.probe.http.response_head import MalformedHeadError, ResponseHead
from netboot.probe.loaded_file import (
    KEPT_BYTES,
    FileMissingError,
    FileRecorder,
    FileTooLargeError,
    LoadedFile,
    recorder_of,
)
from netboot.probe.machine_timeline import MachineTimeline

Fields = tuple[tuple[str, str], ...]
LONGEST_EXCHANGE_S: Final = 3600.0  # a slow machine reads an installer's image
_LONGEST_RETRY_AFTER_S: Final = 120
_MOST_RETRY_AFTER: Final = 30
_HTTP_PORT: Final = 80


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A response. `headers` by lower-case name; `body` is the first `kept_bytes`, size and digest are of all."""

    url: str
    status: int
    headers: Mapping[str, str]
    size_bytes: int = 0
    sha256: str = ""
    body: bytes = field(default=b"", repr=False)

    @property
    def file(self) -> LoadedFile:
        """Return the body as a file named as the last part of its URL."""
        name = urlsplit(self.url).path.rpartition("/")[2]
        return LoadedFile(name, self.url, self.size_bytes, self.sha256, self.body)


@dataclass(slots=True)
class _Exchange:
    """One request with what is needed to repeat it."""

    method: str
    url: str
    step: Step
    fields: Fields
    body: bytes
    recorder: FileRecorder
    any_status: bool
    has_delivered: bool = False


class HttpClient:
    """One client program of a machine, with at most one connection. Close it, or use it in `async with`."""

    def __init__(self, reader: FileReader | IPv4Address | None, agent: HttpAgent) -> None:
        if reader is None or isinstance(reader, IPv4Address):
            reader = LocalReader(reader, MachineTimeline(time.monotonic))
        self.agent = agent
        self._source, self._behaviour, self._timeline = reader.address, reader.behaviour, reader.timeline
        self._connection: HttpConnection | None = None
        self._server: tuple[str, int] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def get(
        self,
        url: str,
        *,
        step: Step,
        sink: Callable[[bytes], object] | None = None,
        headers: Fields = (),
        any_status: bool = False,
    ) -> HttpAnswer:
        """Read a URL. Raise BootFailedError for what ends this client's boot; with `any_status`, no status does."""
        return await self._run(_Exchange("GET", url, step, headers, b"", recorder_of(step, sink), any_status))

    async def head(self, url: str, *, step: Step, headers: Fields = (), any_status: bool = False) -> HttpAnswer:
        """Request the head of a URL."""
        return await self._run(_Exchange("HEAD", url, step, headers, b"", FileRecorder(), any_status))

    async def post(
        self, url: str, body: bytes, *, step: Step, headers: Fields = (), any_status: bool = False
    ) -> HttpAnswer:
        """Post a body; curl's content type unless `headers` has one."""
        named = {name.lower() for name, _ in headers}
        kind: Fields = () if "content-type" in named else (("Content-Type", "application/x-www-form-urlencoded"),)
        fields = (*headers, ("Content-Length", str(len(body))), *kind)
        return await self._run(_Exchange("POST", url, step, fields, body, FileRecorder(), any_status))

    async def _run(self, exchange: _Exchange) -> HttpAnswer:
        """Send a request until the client stops repeating it."""
        waits_s = list(self.agent.waits_s)
        redirects, retries_after = 0, 0
        while True:
            try:
                answer = await asyncio.wait_for(self._exchange(exchange), LONGEST_EXCHANGE_S)
            except TimeoutError:
                self.close()
                raise self._failed(exchange, f"it did not end in {LONGEST_EXCHANGE_S:.0f} s") from None
            except ConnectionFailedError as error:
                if not waits_s or exchange.has_delivered:
                    raise self._failed(exchange, str(error)) from None
                await asyncio.sleep(self._behaviour.wait_s(waits_s.pop(0)))
                continue
            if answer.status in (301, 302, 303, 307, 308) and self.agent.redirects:
                redirects += 1
                if redirects > self.agent.redirects or "location" not in answer.headers:
                    raise self._failed(exchange, f"redirect {redirects} is not followed")
                exchange.url = self._redirected(exchange, answer.headers["location"])
                continue
            pause_s = self._retry_after_s(answer)
            if pause_s is not None and retries_after < _MOST_RETRY_AFTER:
                retries_after += 1
                self._note(exchange, f"{self.agent.name} got status {answer.status} and Retry-After: {pause_s}")
                await asyncio.sleep(self._behaviour.wait_s(pause_s))
                continue
            if self.agent.repeats(answer.status) and waits_s:
                await asyncio.sleep(self._behaviour.wait_s(waits_s.pop(0)))
                continue
            return self._judged(exchange, answer)

    async def _exchange(self, exchange: _Exchange) -> HttpAnswer:
        """Do the request once; an answer with an error status does not reach the sink."""
        try:
            head = await self._request(exchange, exchange.fields)
            recorder = exchange.recorder if 200 <= head.status < 300 else FileRecorder(largest_bytes=KEPT_BYTES)
            if exchange.method != "HEAD" and head.status not in (204, 304) and not self._stops_at(head.status):
                await self._read_body(exchange, head, recorder)
        except (MalformedHeadError, FileTooLargeError) as error:
            self.close()
            raise self._failed(exchange, str(error)) from None
        except ConnectionFailedError:
            self.close()
            raise
        if not self.agent.keeps_connection or head.closes:
            self.close()
        return HttpAnswer(
            exchange.url, head.status, head.headers, recorder.size_bytes, recorder.sha256, bytes(recorder.content)
        )

    def _stops_at(self, status: int) -> bool:
        """GRUB closes the connection of a file that it does not get; every other client reads the body of the error."""
        return self.agent.has_literal_parser and status >= 300

    async def _read_body(self, exchange: _Exchange, head: ResponseHead, recorder: FileRecorder) -> None:
        """Read the body; resume it by Range as often as this client does."""
        if self.agent.needs_length and head.length is None and head.status < 300:
            raise MalformedHeadError("the response has no Content-Length that it can read")
        part, limit_bytes = head, None
        if self._behaviour.aborts_at is exchange.step:
            limit_bytes = (head.length or 0) // 2

        def write(data: bytes) -> None:
            recorder.write(data)
            if limit_bytes is not None and recorder.size_bytes >= limit_bytes:
                self.close()
                raise self._failed(exchange, f"the machine was switched off after {recorder.size_bytes} bytes")

        for resumes_left in range(self.agent.resumes, -1, -1):
            assert self._connection is not None
            try:
                return await self._connection.read_body(part, write)
            except ConnectionFailedError:
                self.close()
                exchange.has_delivered = recorder.size_bytes > 0
                if not resumes_left or not exchange.has_delivered:
                    raise
            part = await self._request(exchange, (*exchange.fields, *_resuming(head, recorder.size_bytes)))
            _verify_part(part, head, recorder.size_bytes)
            self._note(exchange, f"{self.agent.name} resumes {_shown(exchange.url)} at byte {recorder.size_bytes}")
        return None

    async def _request(self, exchange: _Exchange, fields: Fields) -> ResponseHead:
        """Send the request on the open connection or a new one."""
        url = self._split(exchange)
        if url.scheme != "http" or not url.hostname:
            raise self._failed(exchange, f"{_shown(exchange.url)} is not a URL of http")
        server = (url.hostname, url.port or _HTTP_PORT)
        request = _request_bytes(exchange, url, self.agent, fields)
        opened = self._connection if self._server == server else None
        if opened is not None and (opened.is_usable or not self.agent.reopens):
            try:
                return await opened.request(request)
            except ConnectionFailedError:
                if not self.agent.reopens:
                    raise
        self.close()
        source = None if self._source is None else str(self._source)
        self._connection = await HttpConnection.open(
            server, self.agent, source=source, bytes_per_s=self._behaviour.bytes_per_s
        )
        self._server = server
        return await self._connection.request(request)

    def _split(self, exchange: _Exchange) -> SplitResult:
        try:
            url = urlsplit(exchange.url)
            _ = url.port
        except ValueError:  # a wrong port, or a bracket without its end
            raise self._failed(exchange, f"{_shown(exchange.url)} is no URL") from None
        return url

    def _redirected(self, exchange: _Exchange, location: str) -> str:
        """Return where a redirect leads. No server redirects to a script or token: that request has no permission."""
        try:
            target = urljoin(exchange.url, location)
            path = urlsplit(target).path
        except ValueError:
            raise self._failed(exchange, f"the redirect to {_shown(location)} is no URL") from None
        if is_of_one_boot(path) and not is_of_one_boot(self._split(exchange).path):
            raise self._failed(exchange, f"the redirect to {_shown(target)} is not followed: it belongs to one boot")
        return target

    def _judged(self, exchange: _Exchange, answer: HttpAnswer) -> HttpAnswer:
        if exchange.any_status or answer.status < 300:
            return answer
        name, status = self.agent.name, answer.status
        if status == 404:
            raise FileMissingError(
                exchange.step,
                f"{name} prints {self.agent.missing!r}: the server has no {_shown(exchange.url)}",
                cure="install the file, or correct the URL",
                evidence=(f"{exchange.method} {_shown(exchange.url)}", "status 404"),
            )
        raise self._failed(exchange, f"the server answered with status {status}")

    def _retry_after_s(self, answer: HttpAnswer) -> int | None:
        """Return how long iPXE waits before it repeats a request that an error status answered."""
        value = answer.headers.get("retry-after", "")
        if not self.agent.obeys_retry_after or answer.status < 400 or not (value.isascii() and value.isdecimal()):
            return None
        return min(int(value[:6]), _LONGEST_RETRY_AFTER_S)

    def _note(self, exchange: _Exchange, text: str) -> None:
        self._timeline.add(exchange.step, text)

    def _failed(self, exchange: _Exchange, reason: str) -> BootFailedError:
        return BootFailedError(
            exchange.step,
            f"{self.agent.name} cannot {exchange.method} {_shown(exchange.url)}: {reason}",
            cure="see what the HTTP server logged for this request",
            evidence=(f"{exchange.method} {_shown(exchange.url)}", reason),
        )


def _shown(url: str) -> str:
    """Write a URL for the timeline and errors, without tokens."""
    return printable_line(without_tokens_in_paths(without_users(url)), longest=200)


def _request_bytes(exchange: _Exchange, url: SplitResult, agent: HttpAgent, fields: Fields) -> bytes:
    """Write the request; the client's own fields first, in its order."""
    port = "" if url.port in (None, _HTTP_PORT) else f":{url.port}"
    values = {"{host}": url.hostname or "", "{host_and_port}": f"{url.hostname}{port}"}
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    own = [(name, values.get(value, value)) for name, value in agent.fields]
    lines = [f"{exchange.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in (*own, *fields))]
    return "\r\n".join((*lines, "", "")).encode("latin-1", "replace") + exchange.body


def _resuming(head: ResponseHead, received_bytes: int) -> Fields:
    """Return the fields by which EDK2 requests the rest of a file."""
    fields = [("Range", f"bytes={received_bytes}-")]
    if "etag" in head.headers:
        fields.append(("If-Match", head.headers["etag"]))
    elif "last-modified" in head.headers:
        fields.append(("If-Unmodified-Since", head.headers["last-modified"]))
    return tuple(fields)


def _verify_part(part: ResponseHead, head: ResponseHead, received_bytes: int) -> None:
    """Verify that a resumed response has exactly the rest; EDK2 reads the size behind `/`."""
    expected = None if head.length is None else f"bytes {received_bytes}-{head.length - 1}/{head.length}"
    if part.status != 206 or part.headers.get("content-range") != expected:
        shown = printable_line(part.headers.get("content-range", "none"))
        raise MalformedHeadError(f"the rest from byte {received_bytes}: status {part.status}, Content-Range {shown}")
