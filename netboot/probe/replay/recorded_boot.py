"""The boot in a capture: what its machine sent, in order, each with the answers that it got. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Final

from netboot.model.host.mac import Mac
from netboot.model.urls import is_of_one_boot
from netboot.probe.dhcp.dhcp_answer import DhcpAnswer, answer_of_datagram
from netboot.probe.lan.udp_frames import BOOT_SERVER_PORT, SERVER_PORT
from netboot.probe.replay.capture_file import CapturedDatagram, CaptureFileError

_REQUEST, _REPLY = 1, 2
_RRQ, _DATA, _ACK, _ERROR, _OACK = 1, 3, 4, 5, 6
_METHODS: Final = (b"GET ", b"HEAD ", b"POST ")
_SHORTEST_DHCP: Final = 241
_TFTP_PORT: Final = 69
_ANSWER: Final = re.compile(r"([1-5][0-9]{2})[,:] ")  # the comment of an answer in a capture of netboot


@dataclass(frozen=True, slots=True)
class DhcpRequest:
    """A DHCP message of the machine, and the replies before its next message of another kind."""

    at_s: float
    payload: bytes
    server: IPv4Address | None  # None: a broadcast
    port: int
    source_port: int
    answers: tuple[DhcpAnswer, ...] = ()

    @property
    def kind(self) -> int:
        """The message type of option 53; 0 without it."""
        found = answer_of_datagram(self.payload, ("0.0.0.0", 0))
        return (found.kind or 0) if found is not None else 0


@dataclass(frozen=True, slots=True)
class TftpRequest:
    """A read request; `oack` are the options that the server accepted, `error` is the code of its refusal.

    `is_aborted`: the machine ended the transfer with an ERROR, as after a request for the size.
    """

    at_s: float
    server: IPv4Address
    name: str
    options: tuple[tuple[str, str], ...]
    oack: tuple[tuple[str, str], ...] | None = None
    error: int | None = None
    is_answered: bool = False
    is_aborted: bool = False


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request with its fields in their order and case; `status` and `answer` are the head that it got."""

    at_s: float
    server: tuple[IPv4Address, int]
    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""
    status: int | None = None
    answer: tuple[tuple[str, str], ...] = ()

    @property
    def lacks_body(self) -> bool:
        """Its body is not, or not whole, in the capture; netboot records none."""
        length = next((value for name, value in self.fields if name.lower() == "content-length"), "0")
        return length != str(len(self.body))


RecordedRequest = DhcpRequest | TftpRequest | HttpRequest


@dataclass(frozen=True, slots=True)
class RecordedBoot:
    """Everything that one machine sent; `appliance` is the server of its boot files, None if none answered."""

    mac: Mac
    appliance: IPv4Address | None
    requests: tuple[RecordedRequest, ...]


def recorded_boot(datagrams: Sequence[CapturedDatagram], *, mac: Mac | None = None) -> RecordedBoot:
    """Find the boot of one machine, which must be named if there are several; raise CaptureFileError."""
    chosen = _machine(datagrams, mac)
    requests: list[RecordedRequest] = []
    for datagram in datagrams:
        if datagram.is_dhcp:
            _add_dhcp(requests, datagram, chosen)
        elif str(chosen) in (datagram.source_mac, datagram.destination_mac):
            is_sent = datagram.source_mac == str(chosen)
            (_add_http if datagram.is_tcp else _add_tftp)(requests, datagram, is_sent)
    return RecordedBoot(chosen, _appliance(requests), tuple(requests))


def _machine(datagrams: Iterable[CapturedDatagram], mac: Mac | None) -> Mac:
    found = dict.fromkeys(each for datagram in datagrams if (each := _boot_client(datagram)) is not None)
    if mac is not None:
        if mac in found:
            return mac
        raise CaptureFileError(f"the capture has no DHCP request of {mac}; it has {_shown(found) or 'none'}")
    if len(found) != 1:
        what = f"boots of {_shown(found)}; choose one with --recorded-mac" if found else "no DHCP request of a machine"
        raise CaptureFileError(f"the capture has {what}")
    return next(iter(found))


def _shown(macs: Iterable[Mac]) -> str:
    return ", ".join(map(str, macs))


def _boot_client(datagram: CapturedDatagram) -> Mac | None:
    """Return the Ethernet address of a DHCP client."""
    data = datagram.payload
    if not datagram.is_dhcp or len(data) < _SHORTEST_DHCP or data[0] != _REQUEST or data[2] != 6:
        return None
    return Mac.from_bytes(data[28:34])


def _add_dhcp(requests: list[RecordedRequest], datagram: CapturedDatagram, mac: Mac) -> None:
    data = datagram.payload
    if len(data) < _SHORTEST_DHCP or bytes(data[28:34]).hex(":") != str(mac):
        return
    address, port = datagram.destination
    if data[0] == _REQUEST and port in (SERVER_PORT, BOOT_SERVER_PORT):
        server = None if address == IPv4Address("255.255.255.255") else address
        requests.append(DhcpRequest(datagram.at_s, data, server, port, datagram.source[1]))
    elif data[0] == _REPLY:
        source, source_port = datagram.source
        answer = answer_of_datagram(data, (str(source), source_port))
        for index in range(len(requests) - 1, -1, -1):
            request = requests[index]
            if answer is not None and isinstance(request, DhcpRequest) and request.payload[4:8] == data[4:8]:
                requests[index] = replace(request, answers=(*request.answers, answer))
                return


def _add_tftp(requests: list[RecordedRequest], datagram: CapturedDatagram, is_sent: bool) -> None:
    data = datagram.payload
    opcode = int.from_bytes(data[:2], "big")
    if is_sent and datagram.destination[1] == _TFTP_PORT and opcode == _RRQ:
        texts = [each.decode("latin-1") for each in data[2:].split(b"\0")[:-1]]
        if len(texts) >= 2 and len(texts) % 2 == 0:
            options = tuple(zip(texts[2::2], texts[3::2], strict=True))
            requests.append(TftpRequest(datagram.at_s, datagram.destination[0], texts[0], options))
        return
    last = next((index for index in range(len(requests) - 1, -1, -1) if isinstance(requests[index], TftpRequest)), None)
    if last is None or opcode not in (_DATA, _ACK, _ERROR, _OACK):
        return
    request = requests[last]
    assert isinstance(request, TftpRequest)
    if is_sent:
        requests[last] = replace(request, is_aborted=request.is_aborted or opcode == _ERROR)
    elif not request.is_answered:
        oack = None
        if opcode == _OACK:
            texts = [each.decode("latin-1") for each in data[2:].split(b"\0")[:-1]]
            oack = tuple(zip(texts[::2], texts[1::2], strict=False))
        error = int.from_bytes(data[2:4], "big") if opcode == _ERROR else None
        requests[last] = replace(request, oack=oack, error=error, is_answered=True)


def _add_http(requests: list[RecordedRequest], datagram: CapturedDatagram, is_sent: bool) -> None:
    head, end, body = datagram.payload.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    fields = tuple((name, value.lstrip()) for name, mark, value in (each.partition(":") for each in lines) if mark)
    words = line.split(" ", 2)
    if is_sent and end and datagram.payload.startswith(_METHODS) and len(words) == 3:
        requests.append(HttpRequest(datagram.at_s, datagram.destination, words[0], words[1], fields, body))
    elif not is_sent and end and line.startswith("HTTP/1.") and len(words) > 1 and words[1].isdecimal():
        _add_answer(requests, datagram, int(words[1]), fields)
    elif not is_sent and not datagram.payload and (found := _ANSWER.match(datagram.comment)) is not None:
        _add_answer(requests, datagram, int(found[1]), ())


def _add_answer(
    requests: list[RecordedRequest], datagram: CapturedDatagram, status: int, fields: tuple[tuple[str, str], ...]
) -> None:
    """Give an answer to the oldest request of its server that has none: clients of a boot send one at a time."""
    for index, request in enumerate(requests):
        if isinstance(request, HttpRequest) and request.server == datagram.source and request.status is None:
            requests[index] = replace(request, status=status, answer=fields)
            return


def _appliance(requests: Iterable[RecordedRequest]) -> IPv4Address | None:
    """Return the server of the boot files: of the scripts, else of TFTP, else the first proxy, else of a boot file."""
    files = [each.server for each in requests if isinstance(each, TftpRequest)]
    scripts = [each.server[0] for each in requests if isinstance(each, HttpRequest) and is_of_one_boot(each.target)]
    answers = [answer for each in requests if isinstance(each, DhcpRequest) for answer in each.answers]
    proxies = [each.server for each in answers if not each.is_lease]
    named = [each.boot_server for each in answers if each.file or each.boot_file_option]
    return next(iter([*scripts, *files, *proxies, *named]), None)
