"""The TFTP door of one interface: read requests in, transfers begun, refusals out (RFC 1350 §4; RFC 1123 §4.2.3).

Must never decide who may read what: `TftpDesk` does. Must never answer an ERROR, nor what was sent to a broadcast
address. A fault in one datagram is counted and ends neither the door nor a transfer.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from typing import Final, Protocol

import structlog

from netboot.content.bootfile_cache import BootFileCache, LargeFile
from netboot.content.bootfiles import BootFile, boot_file_name
from netboot.errors import ContentError, NetbootError, WireError
from netboot.model.network import Interface
from netboot.proto import tftp
from netboot.proto.tftp import ErrorCode, Mode, ReadRequest, RefusedRequestError, printable
from netboot.proto.tftp_transfer import Outcome, Sender
from netboot.servers.tftp_sockets import PKTINFO_SPACE, bound_socket, send_from, unicast_destination
from netboot.servers.tftp_transfers import DEFAULT_LIMITS, Counters, Peer, Transfer, TransferLimits, Transfers

log = structlog.get_logger(__name__)

_REQUESTS_PER_TURN: Final = 32
_LONGEST_REQUEST: Final = 4096
_OPENING_AT_ONCE: Final = 64


class TftpDesk(Protocol):
    """Who may read what. Both are asked on the loop and answer from memory."""

    def loader_for(self, address: IPv4Address, name: str) -> BootFile | bytes | None:
        """Say what this machine gets under this name (`content.bootfiles.boot_file_name` has cleaned it)."""

    def loader_sent(
        self,
        address: IPv4Address,
        name: str,
        *,
        bytes_sent: int,
        seconds: float,
        retransmissions: int,
        outcome: Outcome,
    ) -> None:
        """Learn how a transfer ended; of those only whose machine answered at all."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A read request and where it came in."""

    request: ReadRequest
    name: str
    peer: Peer
    local: str


class TftpDoor:
    """Reads from port 69 of one interface; each transfer from a port of its own unless `single_port`."""

    def __init__(
        self,
        interface: Interface,
        desk: TftpDesk,
        *,
        cache: BootFileCache,
        counters: Counters,
        port: int = 69,
        single_port: bool = False,
        limits: TransferLimits = DEFAULT_LIMITS,
    ) -> None:
        self._interface = interface
        self._desk = desk
        self._cache = cache
        self._counters = counters
        self._port = port
        self._single_port = single_port
        self._limits = limits
        self._opening: set[Peer] = set()
        self._is_draining = False

    @property
    def port(self) -> int:
        """The port that requests go to; the kernel's choice where 0 was asked for."""
        return self._port

    def open(self) -> None:
        """Listen; raise NetbootError where the port is not to be had. Called on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._socket = bound_socket(self._interface.name, "0.0.0.0", self._port)
        self._port = self._socket.getsockname()[1]
        self._disk = ThreadPoolExecutor(2, thread_name_prefix="tftp-disk")
        self._transfers = Transfers(
            self._interface.name,
            limits=self._limits,
            counters=self._counters,
            read_piece=self._read_piece,
            ended=self._transfer_ended,
        )
        self._loop.add_reader(self._socket, self._on_readable)

    async def drain(self, timeout_s: float) -> None:
        """Take no more requests and let the running transfers come to their end."""
        self._is_draining = True
        try:
            async with asyncio.timeout(timeout_s):
                await self._transfers.idle.wait()
        except TimeoutError:
            log.warning("tftp.cut", iface=self._interface.name, transfers=len(self._transfers))

    def close(self) -> None:
        """Stop at once; machines that are still reading time out and ask again."""
        self._loop.remove_reader(self._socket)
        self._transfers.close()
        self._socket.close()
        self._disk.shutdown(wait=False, cancel_futures=True)

    def _on_readable(self) -> None:
        for _ in range(_REQUESTS_PER_TURN):
            try:
                datagram, ancillary, _, peer = self._socket.recvmsg(_LONGEST_REQUEST, PKTINFO_SPACE)
            except OSError:  # nothing more now
                return
            local = unicast_destination(ancillary)
            if local is None or peer[1] == 0:
                self._count_refusal("not-unicast")
                continue
            try:
                self._take(datagram, peer, local)
            except Exception:
                self._count_refusal("fault")
                log.error("tftp.failed", iface=self._interface.name, address=peer[0], exc_info=True)

    def _take(self, datagram: bytes, peer: Peer, local: str) -> None:
        if self._single_port and datagram[:2] != b"\0\1" and (transfer := self._transfers.get(peer)) is not None:
            self._transfers.receive(transfer, datagram, self._loop.time())
            return
        try:
            match tftp.parse(datagram):
                case ReadRequest() as request:
                    self._read(request, peer, local)
                case tftp.Error():
                    self._count_refusal("error-packet")
                case tftp.Ack() if self._single_port:
                    raise RefusedRequestError(ErrorCode.UNKNOWN_TRANSFER_ID, "unknown transfer")
                case _:
                    raise RefusedRequestError(ErrorCode.ILLEGAL_OPERATION, "not a read request")
        except RefusedRequestError as refusal:
            self._refuse(peer, local, refusal)
        except WireError:
            self._count_refusal("malformed")

    def _read(self, request: ReadRequest, peer: Peer, local: str) -> None:
        if self._transfers.takes_repeat(peer, request) or peer in self._opening:
            return
        try:
            asked = _Asked(request, boot_file_name(request.name), peer, local)
        except ContentError as error:
            raise RefusedRequestError(ErrorCode.ACCESS_VIOLATION, str(error)) from error
        if self._is_draining or len(self._opening) >= _OPENING_AT_ONCE:
            self._count_refusal("draining" if self._is_draining else "opening-limit")
            return
        found = self._desk.loader_for(IPv4Address(peer[0]), asked.name)
        match found:
            case None:
                raise RefusedRequestError(ErrorCode.FILE_NOT_FOUND, "no such boot file")
            case bytes():
                self._begin(asked, found)
            case BootFile():
                content = self._cache.fresh(found, self._loop.time())
                if content is not None:
                    self._begin(asked, content)
                else:
                    self._open_file(asked, found)

    def _open_file(self, asked: _Asked, file: BootFile) -> None:
        self._opening.add(asked.peer)
        opening = self._disk.submit(self._cache.read, file, self._loop.time())
        asyncio.wrap_future(opening, loop=self._loop).add_done_callback(partial(self._file_opened, asked))

    def _file_opened(self, asked: _Asked, opening: "asyncio.Future[bytes | LargeFile]") -> None:
        self._opening.discard(asked.peer)
        if opening.cancelled():
            return
        try:
            self._begin(asked, opening.result())
        except ContentError as error:
            log.error("tftp.unreadable", boot_file=printable(asked.name), reason=str(error))
            self._refuse(asked.peer, asked.local, RefusedRequestError(ErrorCode.FILE_NOT_FOUND, "cannot be read now"))
        except RefusedRequestError as refusal:
            self._refuse(asked.peer, asked.local, refusal)

    def _begin(self, asked: _Asked, content: bytes | LargeFile) -> None:
        reason = self._transfers.make_room(asked.peer[0])
        request = asked.request
        if reason is None and request.mode is Mode.NETASCII:
            if isinstance(content, LargeFile):
                content.close()
                raise RefusedRequestError(ErrorCode.ILLEGAL_OPERATION, "too large for netascii; ask for octet")
            content = tftp.to_netascii(content)
        size_bytes = content.size_bytes if isinstance(content, LargeFile) else len(content)
        terms = tftp.negotiate(request, size_bytes, mtu=self._interface.mtu_bytes)
        sender = Sender(terms, size_bytes)
        transfer = Transfer(asked.peer, request, terms=terms, sender=sender, now=self._loop.time())
        if isinstance(content, LargeFile):
            transfer.file = content
        else:
            sender.supply(0, content)
        if reason is None:
            reason = self._give_way_out(transfer, asked.local)
        if reason is not None:
            self._count_refusal(reason)
            _close_file(transfer)
            return
        self._transfers.begin(transfer)

    def _give_way_out(self, transfer: Transfer, local: str) -> str | None:
        """Let a transfer send from the address that was asked: from a new port, or from this one."""
        if self._single_port:
            transfer.send = partial(send_from, self._socket, local, transfer.peer)
            return None
        try:
            connection = bound_socket(self._interface.name, local, 0)
        except NetbootError:
            return "no-socket"
        sendto, peer = connection.sendto, transfer.peer
        transfer.connection = connection
        transfer.send = lambda datagram: sendto(datagram, peer)
        return None

    def _read_piece(self, transfer: Transfer, offset: int, length: int) -> None:
        assert transfer.file is not None
        reading = asyncio.wrap_future(self._disk.submit(transfer.file.piece, offset, length), loop=self._loop)
        reading.add_done_callback(partial(self._piece_read, transfer, offset))

    def _piece_read(self, transfer: Transfer, offset: int, reading: "asyncio.Future[bytes]") -> None:
        try:
            if not reading.cancelled():
                self._transfers.supply(transfer, offset, reading.result())
        except ContentError as error:
            log.error("tftp.unreadable", boot_file=transfer.name, reason=str(error))
            self._transfers.fail(transfer, "the file cannot be read any more")
        finally:
            if transfer.sender.is_done:
                _close_file(transfer)

    def _transfer_ended(self, transfer: Transfer, seconds: float) -> None:
        if not transfer.is_reading:
            _close_file(transfer)
        sender = transfer.sender
        assert sender.outcome is not None
        if sender.is_answered or sender.peer_error is not None:
            self._desk.loader_sent(
                IPv4Address(transfer.peer[0]),
                boot_file_name(transfer.request.name),
                bytes_sent=sender.bytes_sent,
                seconds=seconds,
                retransmissions=sender.retransmissions,
                outcome=sender.outcome,
            )

    def _refuse(self, peer: Peer, local: str, refusal: RefusedRequestError) -> None:
        self._count_refusal(refusal.code.name.lower().replace("_", "-"))
        log.debug("tftp.refused", iface=self._interface.name, address=peer[0], reason=printable(str(refusal)))
        try:
            send_from(self._socket, local, peer, tftp.build(tftp.Error(refusal.code, str(refusal))))
        except OSError:
            self._counters.count("tftp_send_failures", interface=self._interface.name)

    def _count_refusal(self, reason: str) -> None:
        self._counters.count("tftp_refused", interface=self._interface.name, reason=reason)


def _close_file(transfer: Transfer) -> None:
    if transfer.file is not None:
        transfer.file.close()
        transfer.file = None
