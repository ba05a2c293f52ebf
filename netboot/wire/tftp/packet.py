"""Read and write TFTP packets, and settle the options of a read (RFC 1350, 2347, 2348, 2349, 7440).

Must never open, find or send anything. A packet that gets an ERROR raises RefusedRequestError with its code,
one that is dropped a plain WireError. An ERROR is never answered: two servers would answer each other for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

from netboot.errors import WireError


class Opcode(IntEnum):
    """The first two bytes of a packet."""

    RRQ = 1
    WRQ = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class ErrorCode(IntEnum):
    """RFC 1350 §5, and 8 from RFC 2347."""

    NOT_DEFINED = 0
    FILE_NOT_FOUND = 1
    ACCESS_VIOLATION = 2
    DISK_FULL = 3  # firmware sends it when its buffer is too small, and retries with another
    ILLEGAL_OPERATION = 4
    UNKNOWN_TRANSFER_ID = 5
    OPTION_REFUSED = 8


class Mode(StrEnum):
    """How the bytes are encoded; `mail` is obsolete."""

    OCTET = "octet"
    NETASCII = "netascii"


class RefusedRequestError(WireError):
    def __init__(self, code: ErrorCode, message: str) -> None:
        self.tftp_code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """RRQ. `name` is as it came (undecodable bytes escaped as surrogates); option names are in lower case."""

    name: str
    mode: Mode = Mode.OCTET
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ack:
    """All blocks up to this one arrived."""

    block: int


@dataclass(frozen=True, slots=True)
class Error:
    """The end of a transfer. `code` stays a number: machines send codes of no RFC."""

    code: int
    message: str = ""


DEFAULT_BLKSIZE: Final = 512
SMALLEST_BLKSIZE: Final = 8
LARGEST_BLKSIZE: Final = 65464  # RFC 2348 §3
LARGEST_WINDOWSIZE: Final = 64  # of the 65,535 of RFC 7440: a window must fit into a socket's buffer
HEADERS: Final = 32  # IP 20, UDP 8, TFTP 4


def parse(datagram: bytes) -> ReadRequest | Ack | Error:
    """Read a packet to the server; raise RefusedRequestError if an ERROR is due, WireError for a drop."""
    if len(datagram) < 2:
        raise WireError("cannot read a TFTP packet: it has no opcode")
    opcode, rest = int.from_bytes(datagram[:2], "big"), datagram[2:]
    match opcode:
        case Opcode.RRQ:
            return _read_request(rest)
        case Opcode.WRQ:
            raise RefusedRequestError(ErrorCode.ILLEGAL_OPERATION, "this server is read-only")
        case Opcode.DATA | Opcode.ACK | Opcode.ERROR if len(rest) < 2:
            raise WireError("cannot read a TFTP packet: its number is cut")
        case Opcode.ACK:
            return Ack(int.from_bytes(rest[:2], "big"))
        case Opcode.ERROR:
            return Error(int.from_bytes(rest[:2], "big"), _text(rest[2:].split(b"\0", 1)[0]))
        case Opcode.DATA | Opcode.OACK:
            raise RefusedRequestError(ErrorCode.ILLEGAL_OPERATION, "not a read request")
        case _:
            raise RefusedRequestError(ErrorCode.ILLEGAL_OPERATION, "unknown opcode")


def error(code: ErrorCode, message: str) -> bytes:
    return b"\0\5" + code.to_bytes(2, "big") + message.encode("utf-8", "surrogateescape") + b"\0"


def option_ack(options: Mapping[str, str]) -> bytes:
    """Write an OACK: the options that a transfer will use."""
    return b"\0\6" + b"".join(f"{name}\0{value}\0".encode() for name, value in options.items())


def _read_request(rest: bytes) -> ReadRequest:
    if not rest.endswith(b"\0"):
        raise RefusedRequestError(ErrorCode.ILLEGAL_OPERATION, "the request does not end in a zero byte")
    name, *others = rest[:-1].split(b"\0")
    if not name or not others:
        raise RefusedRequestError(ErrorCode.ILLEGAL_OPERATION, "the request has no file name or no mode")
    try:
        mode = Mode(_text(others[0]).lower())
    except ValueError:
        raise RefusedRequestError(ErrorCode.ILLEGAL_OPERATION, "the mode is neither octet nor netascii") from None
    return ReadRequest(_text(name), mode, _options(others[1:]))


def _options(fields: list[bytes]) -> dict[str, str]:
    """Pair names and values. The first of a repeated name counts; a name without a value, or padding, is left out."""
    options: dict[str, str] = {}
    for name, value in zip(fields[::2], fields[1::2], strict=False):
        if name:
            options.setdefault(_text(name).lower(), _text(value))
    return options


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Terms:
    """The negotiated options. `acknowledged` is the OACK's content; empty: DATA 1 comes at once."""

    blksize: int = DEFAULT_BLKSIZE
    windowsize: int = 1
    timeout_s: int | None = None
    acknowledged: Mapping[str, str] = field(default_factory=dict)


def negotiate(request: ReadRequest, size_bytes: int, *, mtu: int) -> Terms:
    """Accept the known options with valid values; ignore the rest (RFC 2347).

    Only requested options are acknowledged, no value larger than requested: else EDK2 aborts (Mtftp4RrqOackValid).
    `mtu` is the interface's: many ROMs lose fragments.
    """
    requested = {name: number for name, text in request.options.items() if (number := _number(text)) is not None}
    accepted: dict[str, int] = {}
    for name, number in requested.items():
        match name:
            case "blksize" if SMALLEST_BLKSIZE <= number <= LARGEST_BLKSIZE:
                accepted[name] = min(number, max(mtu - HEADERS, SMALLEST_BLKSIZE))
            case "windowsize" if 1 <= number <= 65535:
                accepted[name] = min(number, LARGEST_WINDOWSIZE)
            case "timeout" if 1 <= number <= 255:
                accepted[name] = number
            case "tsize" if request.mode is Mode.OCTET:  # netascii has another size than the file
                accepted[name] = size_bytes
    acknowledged = {name: str(number) for name, number in accepted.items()}
    blksize, windowsize = accepted.get("blksize", DEFAULT_BLKSIZE), accepted.get("windowsize", 1)
    return Terms(blksize, windowsize, accepted.get("timeout"), acknowledged)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None


def to_netascii(content: bytes) -> bytes:
    """Write a file as netascii: LF becomes CR LF, a CR becomes CR NUL (RFC 764)."""
    return content.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")
