"""The TFTP handler of one interface: read requests begin transfers or are refused (RFC 1350 §4; RFC 1123 §4.2.3).

Must never decide who may read what: `boot.named_files` does. Must never reply to an ERROR, nor to a packet that was
sent to a broadcast address.
"""

import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from typing import Final, assert_never

import structlog

from netboot.boot.named_files import FileService
from netboot.boot.records.packet_capture import PacketCapture
from netboot.content.bootfiles.bootfile_cache import BootFileCache, LargeFile
from netboot.content.bootfiles.directories import BootFile, boot_file_name
from netboot.errors import ContentError, DescriptorsError, NetbootError, WireError, lacks_descriptor
from netboot.model import urls
from netboot.model.boot.offer import MachineDocument
from netboot.model.words import printable_line
from netboot.serve.net.descriptors import DescriptorUser, may_use
from netboot.serve.net.udp import Address, Datagram, UdpSocket
from netboot.serve.tftp.captured_tftp import CapturedTftp, CapturedTransfer
from netboot.serve.tftp.transfers import Transfer, TransferLimits, Transfers, peer_error_of, transfer_socket
from netboot.telemetry.logs import LineLimit
from netboot.telemetry.metrics import Metrics, Reading
from netboot.wire.tftp import packet as tftp
from netboot.wire.tftp.packet import ErrorCode, Mode, ReadRequest, RefusedRequestError
from netboot.wire.tftp.transfer import Outcome, Sender

log = structlog.get_logger()

_RRQ: Final = b"\0\1"
_FAILED: Final = frozenset({Outcome.UNANSWERED, Outcome.TIMED_OUT, Outcome.REFUSED_BY_PEER})
_OPENING_AT_ONCE: Final = 64  # requests that wait for the disk or the store


@dataclass(frozen=True, slots=True)
class TftpSettings:
    """The settings of the listeners: `tftp.port`, `tftp.single_port`, the limits and `http.port`."""

    port: int
    single_port: bool  # for firewalls that do not follow TFTP to a new port
    limits: TransferLimits
    http_port: int  # for the URLs in documents


class TftpHandler:
    """The port on one interface. Each read is sent from a port of its own, unless `single_port`."""

    def __init__(
        self,
        udp: UdpSocket,
        file_service: FileService,
        settings: TftpSettings,
        *,
        cache: BootFileCache,
        threads: Executor,
        counters: Metrics,
        capture: PacketCapture | None = None,
    ) -> None:
        """`threads` read boot files, so that the loop never waits for the disk."""
        self._udp = udp
        self.interface = udp.interface
        self._file_service = file_service
        self._single_port = settings.single_port
        self._http_port = settings.http_port
        self._cache = cache
        self._threads = threads
        self._counters = counters
        self._captured = None if capture is None else CapturedTftp(capture, udp.interface.name)
        self._addresses = {str(address) for address in udp.interface.addresses}
        self._transfers = Transfers(
            self.interface.name, limits=settings.limits, threads=threads, counters=counters, ended=self._transfer_ended
        )
        self._opening: dict[Address, asyncio.Task[None]] = {}
        self._faults = LineLimit()
        self._takes_requests = True

    @property
    def is_busy(self) -> bool:
        """A read still runs."""
        return not self._transfers.idle.is_set()

    @property
    def running_count(self) -> int:
        """How many reads run."""
        return self._transfers.running_count

    @property
    def bytes_running(self) -> int:
        """How many bytes the running reads have sent."""
        return self._transfers.bytes_running

    def is_unread(self) -> bool:
        """Return whether datagrams wait on this port that the loop does not read."""
        return self._udp.is_unread()

    def readings(self) -> Iterator[Reading]:
        """Read the queue of this port, and the requests that wait for the disk or the store."""
        yield self._udp.measure_queue()
        yield Reading("queue_length", len(self._opening), ("tftp-requests", self.interface.name))

    def retire(self) -> None:
        """Close the port; reads from ports of their own continue."""
        self._takes_requests = False
        self._udp.close()
        if self._single_port:
            self._transfers.close()

    async def drain(self) -> None:
        """Take no more requests and wait for the reads that run."""
        self._takes_requests = False
        await self._transfers.idle.wait()

    def close(self) -> None:
        self.retire()
        for opening in self._opening.values():
            opening.cancel()
        self._transfers.close()

    def receive(self, datagram: Datagram) -> None:
        """Begin a read, refuse it, or drop it."""
        peer, ours = datagram.source, datagram.destination
        if ours not in self._addresses or peer[1] == 0:
            self._refused("not-unicast")
            return
        if self._single_port and datagram.data[:2] != _RRQ and (transfer := self._transfers.get(peer)) is not None:
            self._transfers.receive(transfer, datagram.data)
            return
        if self._captured is not None:
            self._captured.record_received(datagram.data, peer, (ours, self._udp.port))
        try:
            match tftp.parse(datagram.data):
                case ReadRequest() as request:
                    self._read(request, peer, ours)
                case tftp.Error():
                    self._refused("error-packet")
                case tftp.Ack() if self._single_port:
                    raise RefusedRequestError(ErrorCode.UNKNOWN_TRANSFER_ID, "unknown transfer")
                case tftp.Ack():
                    raise RefusedRequestError(ErrorCode.ILLEGAL_OPERATION, "not a read request")
        except RefusedRequestError as refusal:
            self._refuse(peer, ours, refusal.tftp_code, str(refusal))
        except WireError:
            self._refused("malformed")

    def _read(self, request: ReadRequest, peer: Address, ours: str) -> None:
        if self._transfers.answer_repeat(peer, request) or peer in self._opening:
            return
        try:
            name = self._file_service.requested_name(IPv4Address(peer[0]), request.name)
            transfer = Transfer(peer, ours, request, boot_file_name(name))
        except ContentError as error:
            raise RefusedRequestError(ErrorCode.ACCESS_VIOLATION, str(error)) from error
        if not self._takes_requests or len(self._opening) >= _OPENING_AT_ONCE:
            self._refused("busy")  # dropped: the machine retries, an ERROR would end its boot
            return
        found = self._file_service.request_file(IPv4Address(peer[0]), transfer.name)
        if found is None:
            raise RefusedRequestError(ErrorCode.FILE_NOT_FOUND, "no such boot file")
        content = self._cache.fresh(found) if isinstance(found, BootFile) else None
        if content is not None:
            self._begin(transfer, content)
        else:
            self._opening[peer] = asyncio.get_running_loop().create_task(self._open(transfer, found))

    async def _open(self, transfer: Transfer, found: BootFile | MachineDocument) -> None:
        """Read a file from the disk, or render a document, which may read the store; then begin to send it."""
        try:
            self._begin(transfer, await self._content_of(transfer, found))
        except RefusedRequestError as refusal:
            self._refuse(transfer.peer, transfer.ours, refusal.tftp_code, str(refusal))
        except NetbootError as error:
            if lacks_descriptor(error):  # others have them: dropped, so that the machine retries
                self._refused("no-descriptor")
                return
            if self._faults.note(str(error)):
                log.error("tftp.unreadable", boot_file=printable_line(transfer.name), reason=str(error))
            self._refuse(transfer.peer, transfer.ours, ErrorCode.FILE_NOT_FOUND, "the file cannot be read now")
        except Exception as error:  # a fault of ours in one request must not be lost with its task
            self._udp.log_fault(error)
        finally:
            self._opening.pop(transfer.peer, None)

    async def _content_of(self, transfer: Transfer, found: BootFile | MachineDocument) -> bytes | LargeFile:
        match found:
            case BootFile():
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._opened, found)
            case MachineDocument():
                base_url = urls.base_url(self._udp.interface.advertise or transfer.ours, self._http_port)
                text = await self._file_service.render(found, IPv4Address(transfer.peer[0]), base_url=base_url)
                if text is None:
                    raise RefusedRequestError(ErrorCode.FILE_NOT_FOUND, "no such boot file")
                return text.encode()
            case _:
                assert_never(found)

    def _opened(self, found: BootFile) -> bytes | LargeFile:
        """Read a boot file in a thread; one whose descriptor is kept for others is closed before another is opened."""
        content = self._cache.read(found)
        if isinstance(content, LargeFile) and not may_use(content.descriptor, DescriptorUser.TRANSFER):
            content.close()
            raise DescriptorsError
        return content

    def _begin(self, transfer: Transfer, content: bytes | LargeFile) -> None:
        if transfer.request.mode is Mode.NETASCII:
            if not isinstance(content, bytes):
                content.close()
                raise RefusedRequestError(ErrorCode.ILLEGAL_OPERATION, "too large for netascii; request octet")
            content = tftp.to_netascii(content)
        size_bytes = len(content) if isinstance(content, bytes) else content.size_bytes
        terms = tftp.negotiate(transfer.request, size_bytes, mtu=self.interface.mtu_bytes)
        transfer.sender = Sender(terms, size_bytes)
        if isinstance(content, bytes):
            transfer.sender.supply(0, content)
        else:
            transfer.file = content
        reason = self._admit(transfer)
        if reason is None:
            sender, address = transfer.sender, IPv4Address(transfer.peer[0])
            transfer.end_progress = self._file_service.begin_transfer(
                address, None, transfer.name, size_bytes, sent=lambda: sender.bytes_sent
            )
            self._transfers.begin(transfer)
        else:
            transfer.close()
            self._refused(reason)

    def _admit(self, transfer: Transfer) -> str | None:
        """Return None if a read may begin now, else the reason.

        The descriptor of its socket is checked after another transfer was ended for it, which has given back its own.
        """
        if not self._takes_requests:
            return "busy"
        return self._transfers.admit(transfer.peer[0]) or self._give_way_out(transfer)

    def _give_way_out(self, transfer: Transfer) -> str | None:
        """Answer a read from the address that received it: from a new port, or from this one."""
        if self._single_port:
            transfer.send = partial(self._udp.send, to=transfer.peer, source=socket.inet_aton(transfer.ours))
            self._capture_transfer(transfer, (transfer.ours, self._udp.port))
            return None
        try:
            connection = transfer_socket(self.interface.name, transfer.ours)
        except OSError as error:
            return "no-descriptor" if lacks_descriptor(error) else "no-socket"
        if not may_use(connection.fileno(), DescriptorUser.TRANSFER):
            connection.close()
            return "no-descriptor"
        sendto, peer = connection.sendto, transfer.peer
        transfer.connection = connection
        transfer.send = lambda datagram: sendto(datagram, peer)
        self._capture_transfer(transfer, connection.getsockname())
        return None

    def _capture_transfer(self, transfer: Transfer, ours: Address) -> None:
        if self._captured is not None:
            transfer.captured = CapturedTransfer(self._captured, transfer.peer, ours)

    def _transfer_ended(self, transfer: Transfer, seconds: float) -> None:
        sender = transfer.sender
        transfer.end_progress()
        assert sender.outcome is not None
        if sender.is_answered or sender.peer_error is not None:
            self._file_service.record_loader(
                IPv4Address(transfer.peer[0]),
                transfer.name,
                bytes_sent=sender.bytes_sent,
                seconds=seconds,
                retransmissions=sender.retransmissions,
                outcome=sender.outcome,
            )
        if sender.outcome in _FAILED:
            self._file_service.record_failed_loader(
                IPv4Address(transfer.peer[0]),
                transfer.name,
                outcome=sender.outcome,
                bytes_sent=sender.bytes_sent,
                size_bytes=sender.size_bytes,
                peer_error=peer_error_of(sender),
            )

    def _refuse(self, peer: Address, ours: str, code: ErrorCode, text: str) -> None:
        reason = code.name.lower().replace("_", "-")
        self._refused(reason)
        log.debug("tftp.refused", iface=self.interface.name, address=peer[0], reason=reason, text=text)
        error = tftp.error(code, text)
        self._udp.send(error, peer, source=socket.inet_aton(ours))
        if self._captured is not None:
            self._captured.record_sent(error, peer, (ours, self._udp.port))

    def _refused(self, reason: str) -> None:
        self._counters.count("tftp_refused", interface=self.interface.name, reason=reason)
