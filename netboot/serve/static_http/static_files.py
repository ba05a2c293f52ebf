"""The static trees, content and boot files: finds files by path and records what was sent.

Content is the same for every machine and contains no secrets. A boot file is found for the machine that requests it:
shim and GRUB request further files from the directory that they were loaded from, and below `/boot/{mac}/` they find
the files and the documents of this machine.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from http import HTTPStatus
from ipaddress import IPv4Address
from typing import Final

import structlog

from netboot.boot.named_files import FileService
from netboot.content.serving.bodies import Bodies
from netboot.content.serving.index import ContentIndex
from netboot.content.serving.served_file import ServedFile, served_file
from netboot.errors import NetbootError, lacks_descriptor
from netboot.model import urls
from netboot.model.boot.offer import MachineDocument
from netboot.model.host.mac import Mac
from netboot.model.host.network import ipv4_of
from netboot.model.release import ContentKind
from netboot.model.words import printable_line
from netboot.serve.static_http.captured_requests import CapturedRequests, Ends
from netboot.serve.static_http.conditional import (
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    NOT_NOW,
    WITHHELD,
    FileAnswer,
    document,
    refusal,
)
from netboot.serve.static_http.head import StaticRequest
from netboot.serve.static_http.refused import RefusalReason
from netboot.serve.static_http.registry_answers import UNREADABLE, UNSUPPORTED, WITHHELD_BLOB, registry_refusal
from netboot.serve.static_http.send import NO_DESCRIPTOR, SentCount
from netboot.serve.static_http.shares import Shares
from netboot.telemetry.logs import LineLimit
from netboot.telemetry.metrics import Metrics

log = structlog.get_logger()

_LOGGED_KINDS: Final = frozenset({ContentKind.KERNEL, ContentKind.INITRD, ContentKind.STAGE2, ContentKind.TREEINFO})
_NO_ADDRESS: Final = IPv4Address(0)


@dataclass(slots=True, eq=False)
class StaticFiles:
    """The shared state of the boot LAN's connections: the index, the bodies, the file service, the limits."""

    content: ContentIndex
    file_service: FileService
    _: KW_ONLY
    counters: Metrics
    shares: Shares
    advertised: Mapping[str, str]  # by our address, the one that machines get instead
    captured: CapturedRequests | None = None  # None: no request is recorded
    bodies: Bodies = field(default_factory=Bodies, init=False)
    _faults: LineLimit = field(default_factory=LineLimit, init=False)
    _large: dict[int, tuple[bool, SentCount]] = field(default_factory=dict, init=False)  # sent now; is it content

    def find(self, path: str, remote: str) -> ServedFile | MachineDocument | None:
        """Find what a path means for the machine at the address `remote`, without reading a directory."""
        content = self.content.find(path)
        if content is not None and self.content.withheld.of(content) is not None:
            return None
        named = urls.boot_file_in(path) if content is None else None
        if named is None or named[1] == urls.LOCAL_DISK_NAME:
            return content
        try:
            mac = Mac.parse(named[0]) if named[0] is not None else None
            found = self.file_service.request_file(ipv4_of(remote) or _NO_ADDRESS, named[1], mac=mac)
            if found is None or isinstance(found, MachineDocument):
                return found
            return served_file(str(found.path), found.path.stat(), member=found.name)
        except (ValueError, OSError):  # no MAC; a file that was removed meanwhile
            return None

    async def find_new(self, path: str) -> ServedFile | FileAnswer:
        """Find on disk what is not in memory, or changed; the answer if there is nothing. Raises ContentError."""
        if not urls.is_of_registry(path):
            file = await self.content.find_new(path)
            return NOT_FOUND if file is None else self._unless_withheld(file, WITHHELD)
        found = await self.content.images.find_new(path)
        return self._unless_withheld(found, WITHHELD_BLOB) if isinstance(found, ServedFile) else registry_refusal(found)

    def _unless_withheld(self, file: ServedFile, answer: FileAnswer) -> ServedFile | FileAnswer:
        """Return a file, or the answer if it is damaged; a pull without a delta requests single objects instead."""
        withheld = self.content.withheld.of(file)
        if withheld is None:
            return file
        return NOT_FOUND if withheld.is_of_delta else answer

    def refusal_of_method(self, path: str) -> FileAnswer:
        """Return the answer to a request that is neither GET nor HEAD."""
        return UNSUPPORTED if urls.is_of_registry(path) else METHOD_NOT_ALLOWED

    async def render(self, found: MachineDocument, remote: str, *, base_url: str, is_head: bool) -> FileAnswer:
        """Write a machine's document; `base_url` is ours as the machine reached it."""
        address = ipv4_of(remote) or _NO_ADDRESS
        try:
            text = await self.file_service.render(found, address, base_url=base_url, is_head=is_head)
        except NetbootError as error:
            if lacks_descriptor(error):
                self.counters.count("http_refused", reason=RefusalReason.DESCRIPTORS)
                return NO_DESCRIPTOR
            log.error("boot.document_held_back", document=found.kind, address=remote, reason=str(error))
            return NOT_NOW
        return document(HTTPStatus.NOT_FOUND, "not found\n") if text is None else document(HTTPStatus.OK, text)

    @contextmanager
    def sending(self, request: StaticRequest, file: ServedFile, remote: str, count: SentCount) -> Iterator[None]:
        """Let the file service show how far a large file is, while it is sent, and count its bytes."""
        kind, name, address = file.kind if request.is_content else None, file.member, ipv4_of(remote) or _NO_ADDRESS
        end = self.file_service.begin_transfer(address, kind, name, file.size_bytes, sent=lambda: count.bytes)
        self._large[id(count)] = request.is_content, count
        try:
            yield
        finally:
            del self._large[id(count)]
            end()

    def bytes_running(self, *, is_content: bool) -> int:
        """Return how many bytes were sent of the large files that are sent now, which no counter has yet."""
        return sum(count.bytes for of_content, count in self._large.values() if of_content is is_content)

    def record_request(self, request: StaticRequest, ends: Ends | None) -> None:
        """Give a request to the capture of its machine's boot; `ends` are those of its connection."""
        if self.captured is not None:
            self.captured.begin(request, ends)

    def record_end(self, request: StaticRequest, ends: Ends | None, *, status: HTTPStatus, bytes_sent: int) -> None:
        """Give the end of an answer to the capture, as `record_request`."""
        if self.captured is not None:
            self.captured.end(request, ends, status=status, bytes_sent=bytes_sent)

    def record_answer(
        self,
        request: StaticRequest,
        file: ServedFile | None,
        *,
        remote: str,
        status: HTTPStatus,
        bytes_sent: int,
        began: float,
        is_cut: bool = False,
    ) -> None:
        """Count an answer, log it, and report the bytes to the file service. `began` is monotonic seconds.

        `is_cut`: the connection ended before all bytes of the answer were sent. The file service gets each object of a
        pull and computes its progress; a pull is not logged object by object.
        """
        address, seconds = ipv4_of(remote), time.monotonic() - began
        if not request.is_content:
            area = request.path.split("/", 2)[1]
            self.counters.count("http_requests", area=area, status=str(status.value))
            self.counters.count("http_bytes", bytes_sent, area=area)
            named = urls.boot_file_in(request.path)
            if named and address and file is not None and is_cut:
                self.file_service.record_failed_loader(
                    address, named[1], outcome="cut", bytes_sent=bytes_sent, size_bytes=file.size_bytes
                )
            elif named and address and file is not None and bytes_sent >= file.size_bytes:
                self.file_service.record_loader(
                    address, named[1], bytes_sent=bytes_sent, seconds=seconds, retransmissions=0, outcome="sent"
                )
            return
        kind = file.kind if file else ContentKind.OTHER
        self.counters.content_sent(kind, status, bytes_sent)
        if file is None or status >= HTTPStatus.BAD_REQUEST:
            log.debug("http.content_refused", address=remote, status=status.value)
            return
        if kind is ContentKind.IMAGE_MANIFEST:
            name, reference, digest = file.owner, file.member, file.etag.strip('"')
            log.info("registry.manifest_sent", address=remote, name=name, reference=reference, digest=digest)
        elif kind in _LOGGED_KINDS:
            name, ms = f"{file.owner}/{file.member}", round(seconds * 1000)
            log.info("http.content_sent", address=remote, file=name, bytes=bytes_sent, duration_ms=ms)
        if bytes_sent and address:
            self.file_service.record_content(address, file, bytes_sent)
        if is_cut and address:
            self.file_service.record_cut_content(address, file, bytes_sent)

    def record_refused(self, address: str, reason: RefusalReason) -> None:
        """Count a request that was refused before it reached a handler, and emit an event, which limits itself."""
        self.counters.count("http_refused", reason=reason)
        if reason is RefusalReason.TLS:
            log.debug("http.tls_refused", address=address)
            return
        if reason is RefusalReason.DESCRIPTORS:  # other machines are the reason: `/readyz` has it
            return
        self.file_service.record_refusal(address, reason)

    def record_unreadable(self, path: str, error: Exception) -> FileAnswer:
        """Log that a served file cannot be read, once a minute for each fault; return the answer."""
        if lacks_descriptor(error):  # others have them: `/readyz` has it
            self.counters.count("http_refused", reason=RefusalReason.DESCRIPTORS)
            return NO_DESCRIPTOR
        if self._faults.note(str(error)):
            log.error("http.content_unreadable", path=printable_line(path), reason=str(error))
        if urls.is_of_registry(path):
            return UNREADABLE
        return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "the file cannot be read; the reason is in netboot's log")


def base_url_at(transport: asyncio.BaseTransport, advertised: Mapping[str, str]) -> str:
    """Return our URL at the address that a machine reached, or at the one in `advertised` that machines use instead.

    From the socket, never from the request.
    """
    address, port = transport.get_extra_info("sockname")[:2]
    return urls.base_url(advertised.get(address, address), port)
